import { AMAZON, AWS, http } from './testbed/api-keys-in-catalogs';
import { dev, shown, type Mistake } from './testbed/catalog-mistakes';

describe('a mistake in an API key is shown with its place and what to do:', () => {
  const here = ' environments.dev.secrets.a';
  const mistakes: Mistake[] = [
    [
      'no provider',
      dev('▸a: {type: api-key}'),
      `${here}.provider: is missing: who issues the keys, by name, and how to ask them`,
    ],
    [
      'a provider without its name',
      dev('a: {type: api-key, ▸provider: {user: u}}'),
      `${here}.provider.name: is missing: one of aws-iam, http, amazon-sp-api`,
    ],
    [
      'an unknown provider',
      dev('a: {type: api-key, provider: {name: ▸aws-imo}}'),
      `${here}.provider.name: "aws-imo" is none of aws-iam, http, amazon-sp-api; did you mean aws-iam?`,
    ],
    [
      'no IAM user',
      dev('a: {type: api-key, ▸provider: {name: aws-iam}}'),
      `${here}.provider.user: is missing: the IAM user whose access keys these are`,
    ],
    [
      'a name that no IAM user can have',
      dev('a: {type: api-key, provider: {name: aws-iam, user: ▸path/exporter}}'),
      `${here}.provider.user: is not the name of an IAM user: at most 64 letters, digits and _ + = , . @ - are allowed`,
    ],
    [
      'an unknown key of a provider',
      dev('a: {type: api-key, provider: {name: aws-iam, user: u, ▸usr: v}}'),
      `${here}.provider.usr: is no key of the provider aws-iam; did you mean user?`,
    ],
    [
      'an unknown key of an HTTP provider',
      dev(`a: {${http({ '▸admin': 'b' })}}`),
      `${here}.provider.admin: is no key of the provider http; its keys are name, adminSecret, requestTimeout, settle, idempotencyHeader, create, verify, list, deactivate, reactivate, delete`,
    ],
    [
      'an unknown key of a request',
      dev(`a: {${http({ delete: '{url: "https://api/{{key.id}}", ▸verb: PUT}' })}}`),
      `${here}.provider.delete.verb: is no key of the request delete; its keys are method, url, headers, body`,
    ],
    [
      'an unknown key of the list',
      dev(`a: {${http({ list: '{url: "https://api/", keys: /k, id: /id, ▸lastUsed: /u}' })}}`),
      `${here}.provider.list.lastUsed: is no key of the request list; did you mean lastUsedAt?`,
    ],
    [
      'an unknown field',
      dev(`a: {${AWS}, fields: {▸ids: x}}`),
      `${here}.fields.ids: is no key of the fields of an API key; did you mean id?`,
    ],
    [
      'an unknown key of a step',
      dev(`a: {${AWS}, phaseIn: [{▸at: 1d, after: 1d, percent: 5}]}`),
      `${here}.phaseIn[0].at: is no key of a step of the phase-in; its keys are after, percent`,
    ],
    [
      'a length for a value that the provider makes',
      dev(`a: {${AWS}, ▸length: 20}`),
      `${here}.length: is no key of an API key, only of other types of secret`,
    ],
    [
      'a key of API keys elsewhere',
      dev('a: {type: app-secret, ▸quietPeriod: 1h}'),
      `${here}.quietPeriod: is no key of an app secret, only of other types of secret`,
    ],
    [
      'the ID and the value in one field',
      dev(`a: {${AWS}, ▸fields: {id: key, value: key}}`),
      `${here}.fields: has the key's ID and its value in the same field key`,
    ],
    [
      'the ID in the field that the value has by default',
      dev(`a: {${AWS}, ▸fields: {id: secretAccessKey}}`),
      `${here}.fields: has the key's ID and its value in the same field secretAccessKey`,
    ],
    ...['graceEndsAt', 'phaseInPercent', 'keyturn'].map((name): Mistake => [
      `the reserved field ${name}`,
      dev(`a: {${AWS}, fields: {value: ▸${name}}}`),
      `${here}.fields.value: is reserved: Keyturn itself writes the fields graceEndsAt, phaseInPercent, keyturn beside the new key`,
    ]),
    [
      'an unknown end for a key that is still used',
      dev(`a: {${AWS}, onStillUsed: ▸delete}`),
      `${here}.onStillUsed: "delete" is none of fail, revoke`,
    ],
    [
      'a secret with the name of the secondary',
      dev(`a: {${AWS}}\n      ▸a-secondary: {type: app-secret}`),
      ` environments.dev.secrets.a-secondary: is where a rotation of dev/a keeps its new key: one of the two needs another name`,
    ],
    [
      'a name that leaves no room for the secondary',
      dev(`▸${'n'.repeat(499)}: {${AWS}}`),
      ` environments.dev.secrets["${'n'.repeat(60)}…"]: the environment, a slash, the name and -secondary are 513 characters: Secrets Manager allows 512`,
    ],
    [
      'two secrets of one IAM user',
      dev(`a: {${AWS}}\n  qa:\n    secrets:\n      b: {type: api-key, provider: {name: aws-iam, user: ▸Exporter}}`),
      ' environments.qa.secrets.b.provider.user: is the one of dev/a already: each of the two rotations would delete the keys of the other',
    ],
    [
      'two secrets of one Amazon application',
      dev(`a: {${AMAZON}}\n      b: {${AMAZON.replace('amzn1', '▸amzn1')}}`),
      ' environments.dev.secrets.b.provider.clientId: is the one of dev/a already: each of the two rotations would delete the keys of the other',
    ],
  ];
  mistakes.forEach(shown);
});

describe('a mistake in the periods of an API key is shown with its place and what to do:', () => {
  const here = ' environments.dev.secrets.a';
  const ended = 'Amazon ends the old client secret 7 days after it issued the new one';
  const mistakes: Mistake[] = [
    [
      'grace beyond its maximum',
      dev(`a: {${AWS}, gracePeriod: ▸31 days}`),
      `${here}.gracePeriod: lasts 31 d, longer than maxGracePeriod, which is 30 d`,
    ],
    [
      'a maximum of more than a year',
      dev(`a: {${AWS}, maxGracePeriod: ▸366 days}`),
      `${here}.maxGracePeriod: lasts 366 d: at most 365 days are allowed`,
    ],
    [
      'grace beyond the next rotation',
      dev(`a: {${AWS}, maxAge: 5 days, gracePeriod: ▸6 days}`),
      `${here}.gracePeriod: lasts 6 d and would not end before the next rotation is due after 5 d`,
    ],
    [
      'quiet for longer than the longest grace',
      dev(`a: {${AWS}, maxGracePeriod: 2 days, gracePeriod: 1 day, quietPeriod: ▸3 days}`),
      `${here}.quietPeriod: lasts 3 d, longer than maxGracePeriod, which is 2 d: no key could be quiet for so long`,
    ],
    ["grace beyond Amazon's", dev(`a: {${AMAZON}, gracePeriod: ▸8 days}`), `${here}.gracePeriod: lasts 8 d: ${ended}`],
    [
      "a maximum beyond Amazon's",
      dev(`a: {${AMAZON}, maxGracePeriod: ▸30 days}`),
      `${here}.maxGracePeriod: lasts 30 d: ${ended}`,
    ],
    [
      'an older client secret than Amazon takes',
      dev(`a: {${AMAZON}, maxAge: ▸181 days}`),
      `${here}.maxAge: is 181 d: Amazon refuses a client secret that is older than 180 days`,
    ],
    [
      'a phase-in that goes back in time',
      dev(`a: {${AWS}, phaseIn: [{after: 2 days, percent: 10}, {after: ▸2 days, percent: 20}]}`),
      `${here}.phaseIn[1].after: is not later than the step before: steps stand in ascending order`,
    ],
    [
      'a phase-in that goes back in share',
      dev(`a: {${AWS}, phaseIn: [{after: 1 day, percent: 10}, {after: 2 days, percent: ▸9}]}`),
      `${here}.phaseIn[1].percent: is not more than in the step before: steps stand in ascending order`,
    ],
    [
      'a phase-in after the grace period',
      dev(`a: {${AWS}, phaseIn: [{after: ▸8 days, percent: 10}]}`),
      `${here}.phaseIn[0].after: is after the end of the grace period, which lasts 7 d`,
    ],
    [
      'more than all of the use',
      dev(`a: {${AWS}, phaseIn: [{after: 1 day, percent: ▸101}]}`),
      `${here}.phaseIn[0].percent: must be at most 100, not 101`,
    ],
    [
      'less than none of the use',
      dev(`a: {${AWS}, phaseIn: [{after: 1 day, percent: ▸-1}]}`),
      `${here}.phaseIn[0].percent: must be at least 0, not -1`,
    ],
  ];
  mistakes.forEach(shown);
});
