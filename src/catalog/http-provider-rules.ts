import { fillTemplate, HTTP_CALL_NAMES, httpCallProblems, type HttpOperation } from '../rotation/templates';
import type { Report } from './problems';
import type { HttpProviderData } from './schema';

const OPERATIONS = Object.keys(HTTP_CALL_NAMES) as HttpOperation[];

/** Finds what is wrong between the parts of an HTTP provider; paths start below the provider. */
export function checkHttpProvider(provider: HttpProviderData, report: Report): void {
  for (const operation of OPERATIONS) checkCall(operation, provider, report);
  const { accepted, refused } = provider.verify;
  const both = refused.filter((status) => accepted.includes(status));
  if (both.length > 0) report(['verify', 'refused'], `names ${both.join(', ')}, which accepted names too`);
}

function checkCall(operation: HttpOperation, provider: HttpProviderData, report: Report): void {
  const call = provider[operation];
  if (call === undefined) return;
  const names = HTTP_CALL_NAMES[operation];
  const problems = httpCallProblems(call, names);
  for (const { path, problem } of problems) report([operation, ...path], problem);
  if (problems.length === 0 && !URL.canParse(fillTemplate(call.url, () => 'x'))) {
    report([operation, 'url'], 'is not an address');
  }
  if (provider.adminSecret !== undefined) return;
  const withoutAdmin = names.filter((name) => !name.startsWith('admin.'));
  if (httpCallProblems(call, withoutAdmin).length === problems.length) return;
  report(['adminSecret'], `is missing: the request ${operation} names fields of it as {{admin.FIELD}}`);
}
