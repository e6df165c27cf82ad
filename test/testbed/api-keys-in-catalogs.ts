/** The keys of secrets of type api-key, as the catalogs of tests write them between braces. */

/** An API key that is an access key of an IAM user. */
export const AWS = 'type: api-key, provider: {name: aws-iam, user: exporter}';

/** An API key of a Selling Partner application. */
export const AMAZON = `type: api-key, provider: {name: amazon-sp-api, clientId: amzn1.client, queueUrl: "https://sqs/1/q", endpoint: "https://sp"}`;

/** An API key of a REST service, with the keys that every such provider has, each as YAML; `changed` replaces some or adds others. */
export function http(changed: Record<string, string> = {}): string {
  const provider: Record<string, string> = {
    create: '{url: "https://api/keys", id: /id, value: /secret}',
    verify: '{url: "https://api/me", headers: {Authorization: "Bearer {{key.value}}"}}',
    list: '{url: "https://api/keys", keys: /keys, id: /id}',
    delete: '{url: "https://api/keys/{{key.id}}"}',
    ...changed,
  };
  const keys = Object.entries(provider).map(([key, value]) => `${key}: ${value}`);
  return `type: api-key, provider: {name: http, ${keys.join(', ')}}`;
}
