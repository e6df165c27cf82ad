import type { SecretType } from '../../rotation/names';
import { isCovered } from '../../rotation/review';
import type { Review, ReviewCoverage } from '../../rotation/review';
import { readCatalog } from '../catalog';

/** The catalog as reviews read it. */
export interface ReviewCatalog {
  environments(): { environment: string; maxAgeMs?: number; review: Review }[];
  /** `schedule` is absent where a secret is rotated by hand. */
  secrets(environment: string): {
    secret: string;
    secretId: string;
    type: SecretType;
    maxAgeMs: number;
    review: Review;
    schedule?: { paused: boolean };
  }[];
}

type Declared = ReturnType<ReviewCatalog['secrets']>[number];

export interface Reviewed {
  /** The declared secrets that a review is of. */
  secrets: Declared[];
  /** The others that are declared. */
  others: Declared[];
  /** Whether it is also of what nobody declared. */
  undeclaredToo: boolean;
  /** What the catalog says of the environment. */
  policy: { maxAgeMs?: number; review: Review };
}

/** Which of an environment's secrets a review is of, by the catalog as it is now. @throws UnknownSecret, CatalogInvalid */
export async function reviewedSecrets(
  catalog: { load(): Promise<ReviewCatalog> },
  environment: string,
  covers: ReviewCoverage,
): Promise<Reviewed> {
  const { declared, policy } = await readCatalog(async () => {
    const loaded = await catalog.load();
    return {
      declared: loaded.secrets(environment),
      policy: loaded.environments().find((one) => one.environment === environment) ?? { review: 'off' as const },
    };
  });
  const covered = (own?: Review) => isCovered(covers, own, policy.review);
  return {
    secrets: declared.filter(({ review }) => covered(review)),
    others: declared.filter(({ review }) => !covered(review)),
    undeclaredToo: covered(),
    policy,
  };
}
