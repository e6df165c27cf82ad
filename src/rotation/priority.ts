/**
 * In what order the server hands out tasks: lower numbers first. What people start by hand has none of these, which counts as 3.
 * Activities and children inherit it.
 */
export const PRIORITY = { emergency: { priorityKey: 1 }, usual: { priorityKey: 4 } } as const;
