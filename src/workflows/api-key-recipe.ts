import { formatDuration } from '../rotation/durations';
import type { ApiKeyPlan } from '../rotation/plan';
import { announceTo, gracePeriod } from './api-key-grace';
import { aboutKey, oldExpiry, usesOldKey } from './api-key-steps';
import type { Recipe, RotationContext, Step } from './saga/step';
import { backUp } from './back-up';
import { askHealth, deliver, isAsked, isGiven, lookAtDependents } from './deliver';
import { discardCandidate, promote } from './secret-steps';
import { waitForQuiet } from './api-key-usage';

const secondaryOf = ({ plan }: RotationContext<ApiKeyPlan>) => plan.secondarySecretId;

const findLeftovers: Step<ApiKeyPlan> = {
  name: 'findLeftovers',
  summary: ({ plan }) => `look at the provider's keys, and for what a terminated rotation of ${plan.secretId} left`,
  onlyLooks: true,
  run: async (context, { read, show }) => {
    const { input, keys } = context;
    const found = await read.inspectKeys({ ...aboutKey(context), emergency: input.emergency ?? false });
    Object.assign(keys, found);
    if (found.old !== undefined) show({ old: found.old });
  },
};

const confirmCurrentKey: Step<ApiKeyPlan> = {
  name: 'confirmCurrentKey',
  summary: ({ plan }) => `confirm that the provider accepts the key in AWSCURRENT of ${plan.secretId}`,
  // A leaked key may have been revoked in the meantime, and is to be replaced all the same.
  when: ({ input }) => !input.emergency,
  onlyLooks: true,
  run: async (context, { read }) => {
    const { ownUse } = await read.confirmCurrentKey(aboutKey(context));
    context.keys.ownUse = ownUse;
  },
};

const settleLeftovers: Step<ApiKeyPlan> = {
  name: 'settleLeftovers',
  summary: ({ plan }) => `delete the key that a terminated rotation of ${plan.secretId} left`,
  when: ({ keys }) => keys.leftovers,
  run: async (context, { write }) => {
    const { plan, input } = context;
    await write.settleKeyLeftovers({
      ...aboutKey(context),
      quietPeriodMs: plan.quietPeriodMs,
      emergency: input.emergency ?? false,
    });
  },
};

const prepareSecondary: Step<ApiKeyPlan> = {
  name: 'prepareSecondary',
  summary: (context) => `create ${secondaryOf(context)}, which says that a key is going to be created`,
  run: async (context, { write }) => {
    const { keys } = context;
    keys.since ??= new Date().toISOString();
    await write.prepareSecondary({
      ...aboutKey(context),
      since: keys.since,
      replaces: keys.old,
    });
  },
  undo: {
    summary: (context) => `delete ${secondaryOf(context)}`,
    // As long as a key may be left at the provider, it says which.
    afterTheOthers: true,
    unlessOthersFailed: true,
    run: (context, { write }) => write.removeSecondary(aboutKey(context)),
  },
};

const createKey: Step<ApiKeyPlan> = {
  name: 'createKey',
  summary: (context) => `create a key at the provider, and store it at once in ${secondaryOf(context)}`,
  // Where keys only expire, the new one cannot be taken back, and the old one expires from now on.
  pointOfNoReturn: ({ keys }) => !keys.can.delete,
  run: async (context, { write, show }) => {
    const { keys } = context;
    const { keyId, oldExpiresAt } = await write.createKey(aboutKey(context));
    keys.new = keyId;
    if (oldExpiresAt !== undefined) keys.oldExpiresAt = Date.parse(oldExpiresAt);
    show({ new: keyId });
  },
  undo: {
    summary: ({ keys }) => `delete the new key${keys.new === undefined ? '' : ` ${keys.new}`} at the provider`,
    // Applications use it until the old version has been delivered again.
    afterTheOthers: true,
    run: (context, { write }) => write.discardKey(aboutKey(context)),
  },
};

const verifyKey: Step<ApiKeyPlan> = {
  name: 'verifyKey',
  summary: () => 'see that the provider accepts the new key',
  run: (context, { read }) => read.proveKey({ ...aboutKey(context), where: 'secondary' }),
};

const storeSecondary: Step<ApiKeyPlan> = {
  name: 'storeSecondary',
  summary: ({ plan }) =>
    `offer the new key in ${plan.secondarySecretId}, with the end of a grace period of ${formatDuration(plan.gracePeriodMs)}`,
  run: async (context, { write, graceStart }) => {
    const { plan, keys } = context;
    keys.graceEndsAt = Math.min(graceStart() + plan.gracePeriodMs, oldExpiry(context));
    await announceTo(context, write, { graceEndsAt: new Date(keys.graceEndsAt).toISOString(), phaseInPercent: 0 });
  },
  undo: {
    summary: (context) => `take the new key out of ${secondaryOf(context)}`,
    run: (context, { write }) => write.withdrawKey(aboutKey(context)),
  },
};

const askedNames = ({ plan }: RotationContext<ApiKeyPlan>) =>
  plan.dependents
    .filter(isAsked)
    .map(({ name }) => name)
    .join(', ');

/** Whoever reads the secondary must stay healthy with it; workloads that are given a version go on with the old key until it is promoted. */
const deliverSecondary: Step<ApiKeyPlan> = {
  name: 'deliverSecondary',
  summary: (context) => `deliver to ${askedNames(context) || 'no dependents'} and see them healthy`,
  when: ({ plan }) => plan.dependents.some(isAsked),
  run: (context, activities) => askHealth(context, activities, context.candidate),
  undo: {
    summary: (context) => `deliver the old version to ${askedNames(context)} again`,
    afterTheOthers: true,
    run: async (context, activities) => {
      const { current } = context.found.labels;
      if (current) await askHealth(context, activities, current);
    },
  },
};

/** Those that are only asked are seen healthy again by what undoes the first delivery. */
const deliverPromoted: Step<ApiKeyPlan> = {
  ...deliver,
  undo: deliver.undo && { ...deliver.undo, when: ({ plan }) => plan.dependents.some(isGiven) },
};

const stageCandidate: Step<ApiKeyPlan> = {
  name: 'stageCandidate',
  summary: ({ plan, goingBack }) =>
    goingBack
      ? `stage the version labelled AWSPREVIOUS of ${plan.secretId} as the candidate`
      : `store the new key in ${plan.secretId}, labelled AWSPENDING`,
  run: (context, { write }) => {
    const { candidate, goingBack } = context;
    if (goingBack) return write.moveLabels({ versionId: candidate, moves: [{ label: 'pending', to: candidate }] });
    return write.stageKey(aboutKey(context));
  },
  undo: discardCandidate,
};

const verifyInUse: Step<ApiKeyPlan> = {
  name: 'verifyInUse',
  summary: ({ plan }) => `see that the provider accepts the key in AWSCURRENT of ${plan.secretId}`,
  run: (context, { read }) => read.proveKey({ ...aboutKey(context), where: 'primary' }),
};

/** Weeks may have passed since the new key was proved in use, and people may have moved labels meanwhile. */
const verifyBeforeRetiring: Step<ApiKeyPlan> = {
  ...verifyInUse,
  name: 'verifyBeforeRetiring',
  when: waitForQuiet.when,
};

const waitForExpiry: Step<ApiKeyPlan> = {
  name: 'waitForExpiry',
  summary: ({ keys }) =>
    `wait until the provider ends the old key${keys.oldExpiresAt === undefined ? '' : ` at ${new Date(keys.oldExpiresAt).toISOString()}`}`,
  phase: 'retiring',
  when: ({ keys }) => keys.oldExpiresAt !== undefined,
  run: ({ keys }, { pauseUntil }) => pauseUntil(keys.oldExpiresAt ?? 0),
};

const oneKey = (context: RotationContext<ApiKeyPlan>) => ({ ...aboutKey(context), keyId: context.keys.old ?? '' });

const deactivateKey: Step<ApiKeyPlan> = {
  name: 'deactivateKey',
  summary: ({ keys }) => `deactivate the old key${keys.old === undefined ? '' : ` ${keys.old}`} at the provider`,
  phase: 'retiring',
  when: (context) => usesOldKey(context) && context.keys.can.deactivate,
  pointOfNoReturn: () => true,
  run: (context, { write }) => write.deactivateKey(oneKey(context)),
};

const deleteKey: Step<ApiKeyPlan> = {
  name: 'deleteKey',
  summary: ({ keys }) => `delete the old key${keys.old === undefined ? '' : ` ${keys.old}`} at the provider`,
  phase: 'retiring',
  when: (context) => usesOldKey(context) && context.keys.can.delete,
  pointOfNoReturn: () => true,
  run: (context, { write }) => write.deleteKey(oneKey(context)),
};

const proveOldKeyRefused: Step<ApiKeyPlan> = {
  name: 'proveOldKeyRefused',
  summary: () => 'prove that the provider refuses the old key',
  run: (context, { read }) => read.proveOldKeyRefused(aboutKey(context)),
};

const removeSecondary: Step<ApiKeyPlan> = {
  name: 'removeSecondary',
  summary: (context) => `delete ${secondaryOf(context)}`,
  run: (context, { write }) => write.removeSecondary(aboutKey(context)),
};

/** Two keys in parallel, so that every application takes up the new one when it can. */
export const apiKeyRecipe: Recipe<ApiKeyPlan> = [
  findLeftovers,
  confirmCurrentKey,
  lookAtDependents,
  backUp,
  settleLeftovers,
  prepareSecondary,
  createKey,
  verifyKey,
  storeSecondary,
  deliverSecondary,
  gracePeriod,
  stageCandidate,
  promote,
  deliverPromoted,
  verifyInUse,
  waitForQuiet,
  verifyBeforeRetiring,
  deactivateKey,
  deleteKey,
  waitForExpiry,
  proveOldKeyRefused,
  removeSecondary,
];

const reviveKey: Step<ApiKeyPlan> = {
  name: 'reviveKey',
  summary: ({ plan }) => `see that the key in AWSPREVIOUS of ${plan.secretId} is accepted, and activate it if need be`,
  run: (context, { write }) => write.reviveKey(aboutKey(context)),
};

/** Back to AWSPREVIOUS, as long as the provider still has its key. The newer key is left at the provider. */
export const apiKeyBackRecipe: Recipe<ApiKeyPlan> = [reviveKey, stageCandidate, promote, deliver, verifyInUse];
