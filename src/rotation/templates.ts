import type { HttpCall } from './plan';

/** The calls of an HTTP provider of API keys, under the names that the catalog gives them. */
export type HttpOperation = 'create' | 'verify' | 'list' | 'deactivate' | 'reactivate' | 'delete';

/**
 * What the templates of each call may name. `admin.*` stands for any field of the administrator's secret; leave it out where the catalog
 * names no such secret.
 */
export const HTTP_CALL_NAMES: Readonly<Record<HttpOperation, readonly string[]>> = {
  create: ['label', 'admin.*'],
  verify: ['key.id', 'key.value', 'admin.*'],
  list: ['admin.*'],
  deactivate: ['key.id', 'admin.*'],
  reactivate: ['key.id', 'admin.*'],
  delete: ['key.id', 'admin.*'],
};

/** What is wrong with a call, and where: `['url']`, `['headers', 'Accept']`, `['body']`. */
export interface HttpCallProblem {
  path: string[];
  problem: string;
}

const PLACEHOLDER = /\{\{([^{}]*)\}\}/g;

/**
 * The address up to its path has no template: a value must not decide who is sent the administrator's credential. Nor may it hold a
 * login, which belongs in a header.
 */
const LITERAL_ORIGIN = /^https?:\/\/[^\s/?#{}@\\]+(?:[/?#]|$)/i;

/** RFC 9110 section 5.6.2. */
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/i;
const SET_BY_HTTP_ITSELF = /^(host|content-length|transfer-encoding|connection|keep-alive|upgrade|expect|te|trailer)$/i;
const CARRIES_A_CREDENTIAL = /^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token)$/i;

/** Whether a character may not stand in a header; what is beyond Latin-1 cannot be sent in one (RFC 9110 section 5.5). */
const NOT_IN_A_HEADER = /[^\x20-\x7e\xa0-\xff]/;

/**
 * What is wrong with the `{{name}}`s of one text; empty when nothing is.
 *
 * @param allowed the names that it may hold; one that ends in `.*` allows every name that begins like it.
 */
export function templateProblems(text: string, allowed: readonly string[]): string[] {
  const problems = templateNames(text)
    .filter((name) => !allowed.some((candidate) => allows(candidate, name)))
    .map((name) => `names {{${name}}}, which is not known here; known: ${allowed.join(', ') || 'nothing'}`);
  if (text.replace(PLACEHOLDER, '').includes('{{')) problems.push('holds {{ without a name and }} behind it');
  return problems;
}

/** What is wrong with a call as the catalog declares it; empty when nothing is. See {@link templateProblems}. */
export function httpCallProblems(call: HttpCall, allowed: readonly string[]): HttpCallProblem[] {
  const problems: HttpCallProblem[] = [];
  const report = (path: string[], ...texts: string[]) => problems.push(...texts.map((problem) => ({ path, problem })));

  report(['url'], ...templateProblems(call.url, allowed));
  if (!LITERAL_ORIGIN.test(call.url)) {
    report(['url'], 'must begin with http:// or https:// and a host, without a template or a login in it');
  }

  for (const [name, text] of Object.entries(call.headers)) {
    const path = ['headers', name];
    report(path, ...templateProblems(text, allowed));
    if (!HEADER_NAME.test(name)) report(path, 'is not the name of an HTTP header');
    if (SET_BY_HTTP_ITSELF.test(name)) report(path, 'is a header that HTTP itself sets');
    if (!fitsHeader(text)) report(path, 'holds a line break or another character that a header cannot carry');
    if (CARRIES_A_CREDENTIAL.test(name) && templateNames(text).length === 0) {
      report(
        path,
        'holds a credential itself; name the secret that holds it as adminSecret, and write {{admin.FIELD}}',
      );
    }
  }

  if (call.body !== undefined) {
    report(['body'], ...templateProblems(call.body, allowed));
    if (call.method === 'GET') report(['body'], 'cannot be sent with GET');
    if (!isJson(fillTemplate(call.body, () => 'x'))) {
      report(['body'], 'is not JSON, or has a {{name}} that does not stand inside quotes');
    }
  }
  return problems;
}

/** Puts values in the place of a template's `{{name}}`s. */
export function fillTemplate(text: string, valueOf: (name: string) => string): string {
  return text.replace(PLACEHOLDER, (_placeholder, name: string) => valueOf(name.trim()));
}

/** Whether a header can carry a text as it is. */
export function fitsHeader(text: string): boolean {
  return !NOT_IN_A_HEADER.test(text);
}

function templateNames(text: string): string[] {
  return [...text.matchAll(PLACEHOLDER)].map(([, name = '']) => name.trim());
}

function allows(candidate: string, name: string): boolean {
  if (!candidate.endsWith('.*')) return candidate === name;
  const prefix = candidate.slice(0, -1);
  return name.startsWith(prefix) && name.length > prefix.length;
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
