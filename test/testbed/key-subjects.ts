import type { RotationResult } from '../../src/rotation/types';
import { accepted, createApiKey, keyDocument } from './api-keys';
import { httpProviderOf, startFakeKeyService } from './fake-key-service';
import type { FakeKeyService, FakeKeyServiceOptions } from './fake-key-service';
import type { Testbed } from './testbed';

/** A secret that holds a key of a service of its own, so that one's faults are nobody else's. */
export interface KeySubject {
  secret: string;
  secondary: string;
  secretId: string;
  service: FakeKeyService;
  /** The key that the secret held first. */
  old: { id: string; value: string };
  /** The VersionId of the version that held it. */
  oldVersion: string;
}

export interface KeySubjectOptions extends FakeKeyServiceOptions {
  /** Merged into the catalog's declaration. */
  declaration?: Record<string, unknown>;
  /** Changes how the catalog describes the service. */
  provider?(described: ReturnType<typeof httpProviderOf>): object;
  /** Where the worker finds the service, in place of its own address; told the service's port. */
  through?(port: number): Promise<string>;
}

/** Keys of fake services, which are stopped together. A third key at one time is more than a rotation may need, and refused. */
export function createKeySubjects(bed: Testbed) {
  const services: FakeKeyService[] = [];
  return {
    async create(secret: string, options: KeySubjectOptions = {}): Promise<KeySubject> {
      const { declaration, provider = (described) => described, through, ...serviceOptions } = options;
      const service = await startFakeKeyService({ maxKeys: 2, ...serviceOptions });
      services.push(service);
      bed.alsoSecret(() => service.everyValue());
      const url = (await through?.(Number(new URL(service.url).port))) ?? service.url;
      const old = await createApiKey(bed, service, secret, {
        provider: provider(httpProviderOf({ url }, `${secret}-admin`)),
        gracePeriod: '1 second',
        ...declaration,
      });
      const { current = '' } = await bed.secrets.labels(secret);
      const secretId = bed.secrets.idOf(secret);
      return { secret, secondary: `${secret}-secondary`, secretId, service, old, oldVersion: current };
    },
    async stop(): Promise<void> {
      await Promise.all(services.map((service) => service.stop()));
    },
  };
}

export type KeySubjects = ReturnType<typeof createKeySubjects>;

/** How a subject stands: its keys at the service, and what applications read of it. */
export interface KeySituation {
  keys: { id: string; active: boolean }[];
  /** The key that AWSCURRENT names, and whether the service lets it in. */
  current?: { id?: string; accepted: boolean };
  /** Whether the service still lets in the key that the subject had first. */
  oldAccepted: boolean;
  labels: { current?: string; previous?: string; pending?: string };
  secondary: boolean;
}

export async function keySituationOf(bed: Testbed, subject: KeySubject): Promise<KeySituation> {
  const { secret, secondary, service, old } = subject;
  const document = await keyDocument(bed, secret);
  return {
    keys: service.keys().map(({ id, active }) => ({ id, active })),
    current: { id: document?.keyId, accepted: await accepted(service, document?.key ?? '') },
    oldAccepted: await accepted(service, old.value),
    labels: await bed.secrets.labels(secret),
    secondary: (await keyDocument(bed, secondary)) !== undefined,
  };
}

/** The one good end: exactly one key, another than before, in AWSCURRENT and let in; the old one is not, and nothing is left over. */
export async function expectRotated(bed: Testbed, subject: KeySubject, result: unknown): Promise<void> {
  expect(result).toMatchObject({ outcome: 'rotated', type: 'api-key' });
  const { current, previous } = (result as RotationResult).versions;
  const [key] = subject.service.keys();
  expect(key?.id).not.toBe(subject.old.id);
  expect(await keySituationOf(bed, subject)).toEqual({
    keys: [{ id: key?.id, active: true }],
    current: { id: key?.id, accepted: true },
    oldAccepted: false,
    labels: { current, previous },
    secondary: false,
  });
}

/** The other one: all as before. */
export async function expectAsBefore(bed: Testbed, subject: KeySubject): Promise<void> {
  const { id } = subject.old;
  expect(await keySituationOf(bed, subject)).toEqual({
    keys: [{ id, active: true }],
    current: { id, accepted: true },
    oldAccepted: true,
    labels: { current: subject.oldVersion },
    secondary: false,
  });
}
