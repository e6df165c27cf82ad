import { dev, shown, type Mistake } from './testbed/catalog-mistakes';

const DATABASE = 'type: database, strategy: single-user';
const KEYS = 'keys: {PASSWORD: password}';
const SYNCED = `externalSecret: e, ${KEYS}`;

const kubernetes = (written: string, secret = DATABASE) =>
  dev(`a: {${secret}, dependents: [{kubernetes: {${written}}}]}`);
const ecs = (written: string) => dev(`a: {${DATABASE}, dependents: [{ecs: {${written}}}]}`);
const withServices = (services: string, workloads: string) =>
  `environments: {dev: {services: {${services}}, secrets: {a: {${DATABASE}, dependents: [{kubernetes: {${SYNCED}, workloads: [${workloads}]}}]}}}}`;

const dependent = ' environments.dev.secrets.a.dependents[0]';
const NOT_AN_OBJECT =
  'is not the name of a Kubernetes object: at most 253 small letters, digits, hyphens and dots are allowed, letters or digits first and last';

describe('a mistake in a dependent is shown with its place and what to do:', () => {
  const mistakes: Mistake[] = [
    [
      'an empty dependent',
      dev(`a: {${DATABASE}, dependents: [▸{}]}`),
      `${dependent}: must say one of http, kubernetes, ecs`,
    ],
    [
      'an unknown kind',
      dev(`a: {${DATABASE}, dependents: [▸{▸kubernets: {}}]}`),
      `${dependent}: must say one of http, kubernetes, ecs`,
      `${dependent}.kubernets: is no key of a dependent; did you mean kubernetes?`,
    ],
    [
      'a kind with nothing in it',
      `environments:\n  dev:\n    secrets:\n      a:\n        type: app-secret\n        dependents:\n          - kubernetes:▸\n`,
      `${dependent}.kubernetes: must be a mapping, but nothing is written here`,
    ],
    [
      'two kinds in one entry',
      dev(`a: {${DATABASE}, dependents: [▸{kubernetes: {${SYNCED}}, http: {name: n, healthUrl: "http://h"}}]}`),
      `${dependent}: has http and kubernetes: each is an entry of its own`,
    ],
    [
      'an unknown key of a Kubernetes dependent',
      kubernetes(`${SYNCED}, ▸workload: []`),
      `${dependent}.kubernetes.workload: is no key of a Kubernetes dependent; did you mean workloads?`,
    ],
    [
      'an unknown key of an ECS dependent',
      ecs('cluster: c, services: [s], ▸service: s'),
      `${dependent}.ecs.service: is no key of an ECS dependent; did you mean services?`,
    ],
    [
      'two dependents that are called alike without a name',
      dev(`a: {${DATABASE}, dependents: [{kubernetes: {${SYNCED}}}, {▸kubernetes: {${SYNCED}}}]}`),
      ' environments.dev.secrets.a.dependents[1].kubernetes.name: is missing: without one it is "dev/e", which the list has already',
    ],
    [
      'two dependents of one name',
      dev(
        `a: {${DATABASE}, dependents: [{kubernetes: {${SYNCED}}}, {ecs: {name: ▸dev/e, cluster: c, services: [s]}}]}`,
      ),
      ' environments.dev.secrets.a.dependents[1].ecs.name: names a dependent that the list has already',
    ],
  ];
  mistakes.forEach(shown);
});

describe('a mistake in a Kubernetes dependent is shown with its place and what to do:', () => {
  const here = `${dependent}.kubernetes`;
  const mistakes: Mistake[] = [
    [
      'an environment that cannot be a namespace',
      `environments: {Prod_EU: {secrets: {a: {${DATABASE}, dependents: [{▸kubernetes: {${SYNCED}}}]}}}}`,
      ` environments.Prod_EU.secrets.a.dependents[0].kubernetes.namespace: is missing: the environment's name "Prod_EU" cannot be the name of a namespace, so the namespace must be written`,
    ],
    [
      'a name that no namespace can have',
      kubernetes(`${SYNCED}, namespace: ▸my.shop`),
      `${here}.namespace: is not the name of a namespace: at most 63 small letters, digits and hyphens are allowed, no hyphen first or last`,
    ],
    [
      'a name that no object can have',
      kubernetes(`externalSecret: ▸Orders, ${KEYS}`),
      `${here}.externalSecret: ${NOT_AN_OBJECT}`,
    ],
    [
      'nothing that syncs',
      dev(`a: {${DATABASE}, dependents: [{▸kubernetes: {secret: s, ${KEYS}}}]}`),
      `${here}.externalSecret: is missing: the name of the ExternalSecret that is synced; without External Secrets Operator write sync: push`,
    ],
    [
      'a ClusterExternalSecret without its name',
      dev(`a: {${DATABASE}, dependents: [{▸kubernetes: {sync: cluster-external-secret, ${KEYS}}}]}`),
      `${here}.externalSecret: is missing: the name of the ClusterExternalSecret that is synced`,
    ],
    [
      'an unknown way to sync',
      kubernetes(`${SYNCED}, sync: ▸psuh`),
      `${here}.sync: "psuh" is none of external-secret, cluster-external-secret, push; did you mean push?`,
    ],
    [
      'push with an ExternalSecret and a template',
      kubernetes(`sync: push, secret: s, externalSecret: ▸e, expect: ▸any-change, ${KEYS}`),
      `${here}.externalSecret: cannot be used with sync: push, where Keyturn writes the Kubernetes Secret itself`,
      `${here}.expect: cannot be any-change with sync: push, where Keyturn writes the very version: leave it out`,
    ],
    [
      'push without a Secret',
      dev(`a: {${DATABASE}, dependents: [{▸kubernetes: {sync: push, ${KEYS}}}]}`),
      `${here}.secret: is missing: the name of the Kubernetes Secret that Keyturn writes the keys of`,
    ],
    [
      'no keys',
      dev(`a: {${DATABASE}, dependents: [{▸kubernetes: {externalSecret: e}}]}`),
      `${here}.keys: is missing: which keys of the Kubernetes Secret hold which fields of this secret, such as {PASSWORD: password}`,
    ],
    ['an empty list of keys', kubernetes('externalSecret: e, ▸keys: []'), `${here}.keys: must name at least one key`],
    [
      'an empty mapping of keys',
      kubernetes('externalSecret: e, ▸keys: {}'),
      `${here}.keys: must name at least one key`,
    ],
    [
      'keys as text',
      kubernetes('externalSecret: e, keys: ▸PASSWORD'),
      `${here}.keys: must be a mapping of keys to fields, or a list, not text`,
    ],
    [
      'a key without its field in a mapping',
      kubernetes('externalSecret: e, keys: {PASSWORD: ▸}'),
      `${here}.keys.PASSWORD: must be text, but nothing is written here`,
    ],
    [
      'a key that no Secret can have',
      kubernetes('externalSecret: e, keys: {▸"PASS WORD": password}'),
      `${here}.keys["PASS WORD"]: is not a key of a Kubernetes Secret: at most 253 letters, digits and - _ . are allowed`,
    ],
    [
      'an unknown key in the list of keys',
      kubernetes('externalSecret: e, keys: [{key: P, ▸feld: password}]'),
      `${here}.keys[0].feld: is no key of an entry of keys; did you mean field?`,
    ],
    [
      'one key twice',
      kubernetes('externalSecret: e, keys: [{key: P}, {key: ▸P, field: password}]'),
      `${here}.keys[1].key: names a key that the list has already`,
    ],
    [
      'a field of a secret without fields',
      kubernetes(`externalSecret: e, ▸keys: {TOKEN: value}`, 'type: app-secret'),
      `${here}.keys: takes the field "value", but this secret is one text without fields: write the list form, - key: TOKEN; or name a field in field of the secret`,
    ],
    [
      'a workload without its kind',
      kubernetes(`${SYNCED}, workloads: [▸{}]`),
      `${here}.workloads[0]: must say one of deployment, statefulSet, daemonSet, rollout, service`,
    ],
    [
      'a workload of two kinds',
      kubernetes(`${SYNCED}, workloads: [▸{deployment: a, service: b}]`),
      `${here}.workloads[0]: has service and deployment: each is an entry of its own`,
    ],
    [
      'an unknown kind of workload',
      kubernetes(`${SYNCED}, workloads: [▸{▸statefulset: a}]`),
      `${here}.workloads[0]: must say one of deployment, statefulSet, daemonSet, rollout, service`,
      `${here}.workloads[0].statefulset: is no key of a workload; did you mean statefulSet?`,
    ],
    [
      'one workload twice',
      kubernetes(`${SYNCED}, workloads: [{deployment: a}, {statefulSet: a}, ▸{deployment: a}]`),
      `${here}.workloads[2]: names a workload that the list has already`,
    ],
    [
      'a restart of nothing',
      kubernetes(`${SYNCED}, restart: ▸rollout, waitFor: synced`),
      `${here}.restart: is rollout, and there is nothing to restart: name workloads, or leave it out`,
    ],
    [
      'a wait for nothing',
      kubernetes(`${SYNCED}, waitFor: ▸available`),
      `${here}.waitFor: is available, and there is nothing to wait for: name workloads, or leave it out`,
    ],
    [
      'a wait for what Kubernetes does not show',
      kubernetes(`${SYNCED}, workloads: [{deployment: a}], restart: none, waitFor: ▸available`),
      `${here}.waitFor: cannot be available with restart: none: Kubernetes does not show whether a file was read again. Leave it out, and let an http dependent tell whether the workload is healthy`,
    ],
    [
      'a number as a timeout',
      kubernetes(`${SYNCED}, syncTimeout: ▸600`),
      `${here}.syncTimeout: must be a duration with its unit, such as "90 days", "2 hours" or "7d", not the number 600`,
    ],
  ];
  mistakes.forEach(shown);
});

describe('a mistake in the services of an environment is shown with its place and what to do:', () => {
  const here = `${dependent}.kubernetes.workloads[0].service`;
  const mistakes: Mistake[] = [
    [
      'a service that is not declared, and is called like another',
      withServices('shop-api: [{deployment: a}]', '{service: ▸shopapi}'),
      `${here}: "shopapi" is no service of the environment dev; did you mean shop-api?`,
    ],
    [
      'a service that is not declared',
      withServices('shop: [{deployment: a}], till: [{deployment: b}]', '{service: ▸accounts}'),
      `${here}: "accounts" is no service of the environment dev; it has shop, till`,
    ],
    [
      'a service in an environment without services',
      kubernetes(`${SYNCED}, workloads: [{service: ▸shop}]`),
      `${here}: "shop" is no service of the environment dev; it has none: declare it under services`,
    ],
    [
      'a name of the language',
      withServices('shop: [{deployment: a}]', '{service: ▸constructor}'),
      `${here}: "constructor" is no service of the environment dev; it has shop`,
    ],
    [
      'a service without workloads',
      withServices('▸shop: []', '{service: shop}'),
      ' environments.dev.services.shop: must name at least one workload',
    ],
    [
      'a service inside a service',
      withServices('shop: [▸{▸service: till}]', '{service: shop}'),
      ' environments.dev.services.shop[0]: must say one of deployment, statefulSet, daemonSet, rollout',
      ' environments.dev.services.shop[0].service: is no key of a workload; its keys are deployment, statefulSet, daemonSet, rollout',
    ],
    [
      'a name that no service can have',
      withServices('▸"a b": [{deployment: a}]', '{deployment: a}'),
      ' environments.dev.services["a b"]: is not the name of a service: letters, digits and _ . - are allowed',
    ],
  ];
  mistakes.forEach(shown);
});

describe('a mistake in an ECS dependent or in the delivery is shown with its place and what to do:', () => {
  const here = `${dependent}.ecs`;
  const delivery = ' environments.dev.secrets.a.delivery';
  const withDelivery = (written: string) =>
    dev(`a: {${DATABASE}, dependents: [{ecs: {cluster: c, services: [s]}}], delivery: {${written}}}`);
  const mistakes: Mistake[] = [
    [
      'no cluster',
      dev(`a: {${DATABASE}, dependents: [{▸ecs: {services: [s]}}]}`),
      `${here}.cluster: is missing: the name or ARN of the ECS cluster`,
    ],
    [
      'a name that no cluster can have',
      ecs('cluster: ▸my cluster, services: [s]'),
      `${here}.cluster: is not the name of an ECS cluster: at most 255 letters, digits, hyphens and underscores are allowed, or its ARN`,
    ],
    [
      "a service's ARN as the cluster",
      ecs('cluster: ▸"arn:aws:ecs:eu-west-1:123456789012:service/c/s", services: [s]'),
      `${here}.cluster: is not the name of an ECS cluster: at most 255 letters, digits, hyphens and underscores are allowed, or its ARN`,
    ],
    ['no service', ecs('cluster: c, ▸services: []'), `${here}.services: must name at least one service`],
    [
      'one service twice',
      ecs('cluster: c, services: [s, t, ▸s]'),
      `${here}.services[2]: names a service that the list has already`,
    ],
    [
      'an unknown order',
      withDelivery('order: ▸inorder'),
      `${delivery}.order: "inorder" is none of parallel, in-order; did you mean in-order?`,
    ],
    [
      'no restart at all',
      withDelivery('maxRestartsAtOnce: ▸0'),
      `${delivery}.maxRestartsAtOnce: must be at least 1, not 0`,
    ],
    [
      'an unknown key of the delivery',
      withDelivery('▸orders: parallel'),
      `${delivery}.orders: is no key of the delivery; did you mean order?`,
    ],
    [
      'a delivery to nobody',
      dev(`a: {${DATABASE}, dependents: [{http: {name: n, healthUrl: "http://h"}}], ▸delivery: {}}`),
      `${delivery}: has no effect without kubernetes or ecs among the dependents: leave it out`,
    ],
  ];
  mistakes.forEach(shown);
});
