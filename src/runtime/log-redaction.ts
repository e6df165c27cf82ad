const REDACTED = '[redacted]';
const MAX_DEPTH = 8;
const MAX_ITEMS = 100;

const SENSITIVE_NAME =
  'password|passwd|passphrase|secret_?string|secret_?binary|secret_?access_?key|api_?key|private_?key|client_?secret|token';

/**
 * Field names whose values never appear in a log. `task` and `taskEncoded` are the raw activity tasks that Temporal's
 * worker logs when it cannot decode one.
 */
const SENSITIVE_FIELD = new RegExp(
  `^(.*(${SENSITIVE_NAME}|authorization|credentials?|verifier|cookie)|pwd|plaintext|task|taskEncoded)$`,
  'i',
);

/**
 * Credentials inside text: the password of a URL, an Authorization header, a SCRAM verifier (it lets its reader guess
 * passwords offline), and `password=…` or `"password":"…"`.
 */
const SENSITIVE_TEXT: [RegExp, string][] = [
  [/(\w*:\/\/[^\s:/@"]*:)[^\s"]*@/g, `$1${REDACTED}@`],
  [/\b(bearer|basic)\s+[\w+/=.~-]{8,}/gi, `$1 ${REDACTED}`],
  [/SCRAM-SHA-256\$[^\s'"]+/g, REDACTED],
  [
    new RegExp(String.raw`((?:${SENSITIVE_NAME})\\?["']?\s*[=:]\s*)(\\?"(?:[^"\\]|\\.)*"|'[^']*'|\S+)`, 'gi'),
    `$1${REDACTED}`,
  ],
];

/** Text without the credentials that can be recognised in it. */
function redactText(text: string): string {
  return SENSITIVE_TEXT.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), text);
}

/**
 * A copy of a value that is fit for a log. Sensitive fields and credentials in text are replaced; of an error only its
 * name, message, code, stack and causes are kept, because drivers hang statements, requests and responses onto their
 * errors; bytes become their length.
 *
 * It stands behind the rule that nobody hands a secret to a log, and does not replace it.
 */
export function redact(value: unknown): unknown {
  return redactAt(value, 0, new Set());
}

function redactAt(value: unknown, depth: number, ancestors: Set<object>): unknown {
  if (typeof value === 'string') return redactText(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return value;
  if (ancestors.has(value)) return '[circular]';
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value;
  const within = new Set(ancestors).add(value);
  const descend = (inner: unknown) => redactAt(inner, depth + 1, within);
  if (Array.isArray(value)) return value.slice(0, MAX_ITEMS).map(descend);
  if (value instanceof Error) return redactError(value, descend);
  return Object.fromEntries(
    Object.entries(value).map(([field, inner]) => [field, SENSITIVE_FIELD.test(field) ? REDACTED : descend(inner)]),
  );
}

function redactError(
  error: Error & { code?: unknown; type?: unknown },
  descend: (inner: unknown) => unknown,
): Record<string, unknown> {
  return {
    name: error.name,
    ...(typeof error.type === 'string' && { type: error.type }),
    ...((typeof error.code === 'string' || typeof error.code === 'number') && { code: error.code }),
    message: redactText(error.message),
    ...(error.stack && { stack: redactText(error.stack) }),
    ...(error.cause !== undefined && { cause: descend(error.cause) }),
    ...(error instanceof AggregateError && { errors: descend(error.errors) }),
  };
}
