import { dev, seen, shown, type Mistake } from './testbed/catalog-mistakes';

const APP = 'type: app-secret';
const SINGLE = 'type: database, strategy: single-user';
const ALTERNATING = 'type: database, strategy: alternating-users';
const BOTH = `${ALTERNATING}, groupRole: o, adminSecret: admin`;

describe('a file that is no YAML for a catalog is shown with the place and what to do:', () => {
  const empty = ': the file is empty: it must hold a mapping with the key environments';
  const bomb = Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join()}]`).join(
    '\n',
  );
  const mistakes: Mistake[] = [
    ['an empty file', '▸', empty],
    ['a file of comments', '▸# nothing\n', empty],
    ['a list', '▸- environments', ': must be a mapping, not a list'],
    ['text', '▸environments', ': must be a mapping, not text'],
    ['a tab', 'environments:\n▸\tdev: {}', ': a tab is used for indentation: YAML allows only spaces'],
    ['an open quote', 'environments: "▸', ': is not valid YAML: Missing closing "quote'],
    [
      'two documents',
      'environments: {}\n▸---\na: 1',
      ': a second YAML document starts here: a catalog is one document, remove the line ---',
    ],
    ['a tag', 'environments: ▸!x {}', ': is not valid YAML: Unresolved tag: !x'],
    ['a key that is no text', '? ▸[a]\n: 1', ': a key must be text'],
    [
      'a key written twice',
      dev(`a: {${APP}}\n      ▸a: {${APP}}`),
      ' environments.dev.secrets.a: the key is written twice in the same mapping: keep one of them',
    ],
    [
      'a merge key',
      dev('▸<<: {}'),
      ' environments.dev.secrets["<<"]: merge keys are not supported: write the values out',
    ],
    ['a name of the language', dev(`▸__proto__: {${APP}}`), ' environments.dev.secrets.__proto__: cannot be a name'],
    ['an alias of nothing', dev('a: ▸*b'), ' environments.dev.secrets.a: no anchor &b is set before the alias *b'],
    [
      'aliases that multiply',
      `▸a0: &a0 [x]\n${bomb}`,
      ': the file uses anchors and aliases (& and *) too often or inside themselves: write the values out',
    ],
    ['deep nesting', `▸${'['.repeat(100_000)}`, ': the file is nested too deeply to be a catalog'],
  ];
  mistakes.forEach(shown);

  test('bytes that are no text', async () => {
    expect(await seen(Buffer.from([0x61, 0xff]))).toEqual(['keyturn.yaml: is not UTF-8 text']);
  });

  test('too large a file', async () => {
    expect(await seen('#'.repeat(8_388_609))).toEqual([
      'keyturn.yaml: has 8388609 bytes: a catalog has at most 8388608 (8 MiB)',
    ]);
  });
});

describe('a mistake in what every secret has is shown with its place and what to do:', () => {
  const here = ' environments.dev.secrets.a';
  const longName = 'n'.repeat(509);
  const mistakes: Mistake[] = [
    ['no environments', '▸{}', ' environments: is missing: the environments, by their names'],
    [
      'an unknown key',
      'environments: {}\n▸environment: {}',
      ' environment: is no key of the catalog; did you mean environments?',
    ],
    [
      'an unknown key of an environment',
      'environments: {dev: {▸maxage: 1d, secrets: {}}}',
      ' environments.dev.maxage: is no key of an environment; did you mean maxAge?',
    ],
    [
      'an unknown key of a secret',
      dev(`a: {${APP}, ▸colour: red}`),
      `${here}.colour: is no key of an app secret; its keys are type, description, maxAge, review, stepTimeout, rollbackTimeout, schedule, rotateAfterUses, usesMetric, length, alphabet, dependents, delivery, field`,
    ],
    [
      'a rotation after no use at all',
      dev(`a: {${APP}, rotateAfterUses: ▸0}`),
      `${here}.rotateAfterUses: must be at least 1, not 0`,
    ],
    [
      'a metric of uses without its name',
      dev(`a: {${APP}, ▸usesMetric: {namespace: Shop}}`),
      `${here}.usesMetric.metric: is missing: the name of the metric; its Sum is how often the secret was used`,
    ],
    [
      'an unknown key of the metric of uses',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, ▸statistic: Sum}}`),
      `${here}.usesMetric.statistic: is no key of the metric of uses; its keys are namespace, metric, dimensions, region, period, settle`,
    ],
    [
      'a period of which no day is a multiple',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, period: ▸7 minutes}}`),
      `${here}.usesMetric.period: must be whole minutes of which a day is a multiple, such as 5 minutes, 1 hour or 1 day`,
    ],
    [
      'a period that is no duration',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, period: ▸300}}`),
      `${here}.usesMetric.period: must be a duration with its unit, such as "90 days", "2 hours" or "7d", not the number 300`,
    ],
    [
      'metrics that settle for more than a day',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, settle: ▸2 days}}`),
      `${here}.usesMetric.settle: is longer than a day`,
    ],
    [
      'a namespace that CloudWatch does not allow',
      dev(`a: {${APP}, usesMetric: {namespace: ▸':Shop', metric: Uses}}`),
      `${here}.usesMetric.namespace: must not begin with a colon: CloudWatch does not allow it`,
    ],
    [
      'a dimension without a value',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, dimensions: {Key: ▸''}}}`),
      `${here}.usesMetric.dimensions.Key: must not be empty`,
    ],
    [
      'a region that is none',
      dev(`a: {${APP}, usesMetric: {namespace: Shop, metric: Uses, region: ▸Frankfurt}}`),
      `${here}.usesMetric.region: is not an AWS region, such as eu-central-1`,
    ],
    [
      'a key of another type',
      dev(`a: {${APP}, ▸sslmode: disable}`),
      `${here}.sslmode: is no key of an app secret, only of other types of secret`,
    ],
    [
      'a key of another type, in a secret that is called like a kind of dependent',
      dev(`http: {${APP}, ▸sslmode: disable}`),
      ' environments.dev.secrets.http.sslmode: is no key of an app secret, only of other types of secret',
    ],
    [
      'an environment without secrets',
      'environments:\n  ▸dev: {}',
      ' environments.dev.secrets: is missing: the secrets of this environment, by their names',
    ],
    [
      'an environment with nothing in it',
      'environments:\n  dev:▸\n',
      ' environments.dev: must be a mapping, but nothing is written here',
    ],
    [
      'a slash in an environment',
      'environments: {▸a/b: {secrets: {}}}',
      ' environments.a/b: is not the name of an environment: letters, digits and _ + = . @ - are allowed (a slash separates the environment from the secret)',
    ],
    [
      'a name that AWS does not allow',
      dev(`▸"a b": {${APP}}`),
      ' environments.dev.secrets["a b"]: is not the name of a secret: Secrets Manager allows letters, digits and / _ + = . @ -',
    ],
    [
      'a name that is too long',
      dev(`▸${longName}: {${APP}}`),
      ` environments.dev.secrets["${longName.slice(0, 60)}…"]: the environment, a slash and the name are 513 characters: Secrets Manager allows 512`,
    ],
    ['no type', dev('▸a: {}'), `${here}.type: is missing: one of app-secret, database, api-key`],
    [
      'an unknown type',
      dev('a: {type: ▸databse}'),
      `${here}.type: "databse" is none of app-secret, database, api-key; did you mean database?`,
    ],
    [
      'a type that is no text',
      dev('a: {type: ▸3}'),
      `${here}.type: must be one of app-secret, database, api-key, not the number 3`,
    ],
    [
      'no duration',
      dev(`a: {${APP}, maxAge: ▸90 dayz}`),
      `${here}.maxAge: "90 dayz" is not a duration: write a number and ms, seconds, minutes, hours, days or weeks, such as "90 days"`,
    ],
    [
      'a duration without its unit',
      dev(`a: {${APP}, maxAge: ▸90}`),
      `${here}.maxAge: must be a duration with its unit, such as "90 days", "2 hours" or "7d", not the number 90`,
    ],
    [
      'a duration of nothing',
      dev(`a: {${APP}, stepTimeout: ▸0 s}`),
      `${here}.stepTimeout: "0 s" is too short: at least one second`,
    ],
    [
      'a duration without end',
      dev(`a: {${APP}, maxAge: ▸99999 days}`),
      `${here}.maxAge: "99999 days" is longer than ten years`,
    ],
    [
      'an unknown review',
      dev(`a: {${APP}, review: ▸montly}`),
      `${here}.review: "montly" is none of weekly, monthly, quarterly, yearly, off; did you mean monthly?`,
    ],
    ['a number where text belongs', dev(`a: {${APP}, field: ▸3}`), `${here}.field: must be text, not the number 3`],
    [
      'two lines where one belongs',
      dev(`a: {${APP}, description: ▸"a\\nb"}`),
      `${here}.description: must be one line of text`,
    ],
    ['too short a value', dev(`a: {${APP}, length: ▸8}`), `${here}.length: must be at least 16, not 8`],
    ['too long a value', dev(`a: {${APP}, length: ▸65537}`), `${here}.length: must be at most 65536, not 65537`],
    [
      'half a character',
      dev(`a: {${APP}, length: ▸20.5}`),
      `${here}.length: must be a whole number, not the number 20.5`,
    ],
    [
      'an alphabet that many cannot type',
      dev(`a: {${APP}, alphabet: ▸aé}`),
      `${here}.alphabet: must consist of visible ASCII characters, without spaces`,
    ],
    [
      'an alphabet of one',
      dev(`a: {${APP}, alphabet: ▸aaa}`),
      `${here}.alphabet: must have at least two different characters`,
    ],
    [
      'a value that can be guessed',
      dev(`a: {${APP}, alphabet: ▸0-9, length: 16}`),
      `${here}.alphabet: 16 characters out of 10 are 53 bits, fewer than 64: more length or more characters are needed`,
    ],
    [
      'dependents that are no list',
      dev(`a: {${APP}, ▸dependents: {}}`),
      `${here}.dependents: must be a list, not a mapping`,
    ],
    [
      'an unknown kind of dependent',
      dev(`a: {${APP}, dependents: [▸{▸htp: {}}]}`),
      `${here}.dependents[0]: must say one of http, kubernetes, ecs`,
      `${here}.dependents[0].htp: is no key of a dependent; did you mean http?`,
    ],
    [
      'an address without a scheme',
      dev(`a: {${APP}, dependents: [{http: {name: n, healthUrl: ▸shop/healthz}}]}`),
      `${here}.dependents[0].http.healthUrl: is not an address that starts with http:// or https://`,
    ],
    [
      'a password in an address',
      dev(`a: {${APP}, dependents: [{http: {name: n, healthUrl: ▸"http://u:p@h"}}]}`),
      `${here}.dependents[0].http.healthUrl: must not hold a user name or password: the catalog holds no secrets`,
    ],
    [
      'two dependents of one name',
      dev(`a: {${APP}, dependents: [&d {http: {name: ▸n, healthUrl: "http://h"}}, *d]}`),
      `${here}.dependents[1].http.name: names a dependent that the list has already`,
    ],
  ];
  mistakes.forEach(shown);
});

describe('a mistake in what database secrets have is shown with its place and what to do:', () => {
  const here = ' environments.dev.secrets.a';
  const mayDropTls =
    'is refused because it may drop TLS silently: write verify-full, or disable where TLS is really not wanted';
  const mistakes: Mistake[] = [
    ['no strategy', dev('▸a: {type: database}'), `${here}.strategy: is missing: one of single-user, alternating-users`],
    [
      'an unknown strategy',
      dev('a: {type: database, strategy: ▸two-users}'),
      `${here}.strategy: "two-users" is none of single-user, alternating-users`,
    ],
    ['too long a password', dev(`a: {${SINGLE}, length: ▸129}`), `${here}.length: must be at most 128, not 129`],
    ['sslmode prefer', dev(`a: {${SINGLE}, sslmode: ▸prefer}`), `${here}.sslmode: "prefer" ${mayDropTls}`],
    ['sslmode allow', dev(`a: {${SINGLE}, sslmode: ▸allow}`), `${here}.sslmode: "allow" ${mayDropTls}`],
    [
      'an unknown sslmode',
      dev(`a: {${SINGLE}, sslmode: ▸verify-ful}`),
      `${here}.sslmode: "verify-ful" is none of disable, require, verify-ca, verify-full; did you mean verify-full?`,
    ],
    [
      'a certificate that nobody checks',
      dev(`a: {${SINGLE}, sslmode: require, sslRootCert: ▸ca.pem}`),
      `${here}.sslRootCert: has no effect with sslmode require, which checks no certificate: write verify-full or verify-ca`,
    ],
    [
      'alternating users without a group',
      dev(`▸a: {${ALTERNATING}}`),
      `${here}.groupRole: is missing: the NOLOGIN role that owns everything; both logins are members of it`,
      `${here}.adminSecret: is missing: the name, in the same environment, of the secret whose login may create and alter the logins of this one`,
    ],
    [
      'a group for a single user',
      dev(`a: {${SINGLE}, ▸groupRole: o}`),
      `${here}.groupRole: cannot be used with single-user: there is one login, and it needs no group role; alternating-users has it`,
    ],
    [
      'a second login for a single user',
      dev(`a: {${SINGLE}, ▸logins: [o, p]}`),
      `${here}.logins: cannot be used with single-user: there is one login, and no second one; alternating-users has it`,
    ],
    [
      'grace for a single user',
      dev(`a: {${SINGLE}, ▸gracePeriod: 1h}`),
      `${here}.gracePeriod: cannot be used with single-user: there is one login with one password, and the old one ends when the new one is set; alternating-users has it`,
    ],
    [
      'grace beyond the next rotation',
      dev(`a: {${BOTH}, gracePeriod: ▸60 days}`),
      `${here}.gracePeriod: lasts 60 d and would not end before the next rotation is due after 60 d`,
    ],
    [
      'a role name that PostgreSQL would cut',
      dev(`a: {${ALTERNATING}, adminSecret: admin, groupRole: ▸${'é'.repeat(32)}}`),
      `${here}.groupRole: is longer than the 63 bytes that PostgreSQL keeps of a role's name`,
    ],
    [
      'a second login named like the group',
      dev(`a: {${BOTH}, ▸logins: [o, p]}`),
      `${here}.logins: names the group role: both logins need names of their own`,
    ],
    [
      'a secret that is its own admin',
      dev(`a: {${SINGLE}, adminSecret: ▸a}`),
      `${here}.adminSecret: is this secret itself: name one whose login may alter the logins of this one`,
    ],
  ];
  mistakes.forEach(shown);
});
