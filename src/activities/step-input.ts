/** What every activity is told besides its own arguments, so that its audit record says who, why and to what. No values. */
export interface StepInput {
  /** `{environment}/{name}` in Secrets Manager. */
  secretId: string;
  /** The step of the recipe that asks for this. */
  step: string;
  requestedBy?: string;
  reason?: string;
}
