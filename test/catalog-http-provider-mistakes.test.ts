import { http } from './testbed/api-keys-in-catalogs';
import { dev, shown, type Mistake } from './testbed/catalog-mistakes';

describe('a mistake in an HTTP provider is shown with its place and what to do:', () => {
  const here = ' environments.dev.secrets.a.provider';
  const nowhere = 'must begin with http:// or https:// and a host, without a template or a login in it';
  const create = (keys: string) => http({ create: `{url: "https://api/keys", id: /id, value: /v, ${keys}}` });
  const mistakes: Mistake[] = [
    [
      'no request to verify with',
      dev(
        `a: {${http()
          .replace(/verify: .*?}}, /, '')
          .replace('provider', '▸provider')}}`,
      ),
      `${here}.verify: is missing: the request that a key is tried with`,
    ],
    [
      'a pointer that does not begin with a slash',
      dev(`a: {${http({ create: '{url: "https://api/keys", id: ▸data.id, value: ▸""}' })}}`),
      `${here}.create.id: is not a JSON pointer: it begins with a slash, such as /data/id`,
      `${here}.create.value: is not a JSON pointer: it begins with a slash, such as /data/id`,
    ],
    [
      'a pointer with an unknown escape',
      dev(`a: {${http({ list: '{url: "https://api/keys", keys: ▸/~k, id: /id}' })}}`),
      `${here}.list.keys: has a ~ that is neither ~0 (for ~) nor ~1 (for /) (RFC 6901)`,
    ],
    [
      'an address without a scheme',
      dev(`a: {${http({ delete: '{url: ▸api/keys}' })}}`),
      `${here}.delete.url: ${nowhere}`,
    ],
    [
      'a password in an address',
      dev(`a: {${http({ delete: '{url: ▸"https://u:p@api/"}' })}}`),
      `${here}.delete.url: ${nowhere}`,
    ],
    [
      'a host that an answer could choose',
      dev(`a: {${http({ delete: '{url: ▸"https://{{key.id}}.api/"}' })}}`),
      `${here}.delete.url: ${nowhere}`,
    ],
    [
      'an address that is none',
      dev(`a: {${http({ delete: '{url: ▸"https://a:b/"}' })}}`),
      `${here}.delete.url: is not an address`,
    ],
    [
      'an unknown method',
      dev(`a: {${create('method: ▸post')}}`),
      `${here}.create.method: "post" is none of GET, POST, PUT, PATCH, DELETE; did you mean POST?`,
    ],
    [
      'a header that is none',
      dev(`a: {${create('headers: {▸"X Token": x}')}}`),
      `${here}.create.headers["X Token"]: is not the name of an HTTP header: letters, digits and hyphens are usual`,
    ],
    [
      'a body for GET',
      dev(`a: {${http({ list: '{url: "https://api/keys", keys: /keys, id: /id, ▸body: {a: 1}}' })}}`),
      `${here}.list.body: cannot be sent with GET`,
    ],
    [
      'a body that is no mapping',
      dev(`a: {${create('body: ▸3')}}`),
      `${here}.create.body: must be a mapping or JSON as text, not the number 3`,
    ],
    [
      'a body that is no JSON',
      dev(`a: {${create(`body: ▸'{"name": {{label}}}'`)}}`),
      `${here}.create.body: is not JSON, or has a {{name}} that does not stand inside quotes`,
    ],
    [
      'a status that is accepted and refused',
      dev(
        `a: {${http({ verify: '{url: "https://api/me/{{key.value}}", accepted: [200, 403], ▸refused: [401, 403]}' })}}`,
      ),
      `${here}.verify.refused: names 403, which accepted names too`,
    ],
    [
      'no status at all',
      dev(`a: {${http({ verify: '{url: "https://api/me/{{key.value}}", ▸accepted: []}' })}}`),
      `${here}.verify.accepted: must name at least one status`,
    ],
    [
      'a status that is none',
      dev(`a: {${http({ verify: '{url: "https://api/me/{{key.value}}", refused: [▸99]}' })}}`),
      `${here}.verify.refused[0]: must be at least 100, not 99`,
    ],
    [
      'a secret that is its own admin',
      dev(`a: {${http({ adminSecret: '▸a' })}}`),
      `${here}.adminSecret: is this secret itself: name one whose fields may manage the keys of this one`,
    ],
    [
      'a field of an admin that is not named',
      dev(`a: {${create('headers: {X-T: "{{admin.token}}"}').replace('provider', '▸provider')}}`),
      `${here}.adminSecret: is missing: the request create names fields of it as {{admin.FIELD}}`,
    ],
    [
      'a token in the catalog',
      dev(`a: {${create('headers: {Authorization: ▸Bearer x}')}}`),
      `${here}.create.headers.Authorization: holds a credential itself; name the secret that holds it as adminSecret, and write {{admin.FIELD}}`,
    ],
    [
      'an open template',
      dev(`a: {${create('headers: {X-A: ▸"{{label"}')}}`),
      `${here}.create.headers.X-A: holds {{ without a name and }} behind it`,
    ],
    ...(
      [
        ['create', 'key.id', 'label, admin.*'],
        ['create', 'key.value', 'label, admin.*'],
        ['list', 'key.id', 'admin.*'],
        ['list', 'label', 'admin.*'],
        ['verify', 'label', 'key.id, key.value, admin.*'],
        ['deactivate', 'key.value', 'key.id, admin.*'],
        ['reactivate', 'key.value', 'key.id, admin.*'],
        ['delete', 'key.value', 'key.id, admin.*'],
        ['delete', 'key.name', 'key.id, admin.*'],
      ] as const
    ).map(([request, name, known]): Mistake => {
      const pointers = { create: 'id: /id, value: /v', list: 'keys: /keys, id: /id' };
      const others = request === 'create' || request === 'list' ? `, ${pointers[request]}` : '';
      return [
        `${name} in ${request}`,
        dev(`a: {${http({ [request]: `{url: ▸"https://api/{{${name}}}"${others}}` })}}`),
        `${here}.${request}.url: names {{${name}}}, which is not known here; known: ${known}`,
      ];
    }),
  ];
  mistakes.forEach(shown);
});
