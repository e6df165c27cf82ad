import { ApplicationFailure, defineQuery, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { RequestRefusal } from '../../rotation/errors';
import type { FleetStatus, GracePeriodBegun } from '../../rotation/fleet';
import { GRACE_PERIOD_SIGNAL } from '../../rotation/names';
import type { AbortRequest, OperatorRequest, RequestAccepted } from '../../rotation/types';

const MAX_TEXT = 1_000;

/** What the fleet does when it is asked. */
export interface FleetEffects {
  status(): FleetStatus;
  /** Why it cannot be aborted any more. */
  refusal(): string | undefined;
  abort(request: AbortRequest): void;
  record(request: OperatorRequest): void;
  inGracePeriod(begun: GracePeriodBegun): void;
}

/** Answers the query `status`, takes `abort` by signal and by update alike, and hears of its rotations' grace periods. */
export function listenToFleetOperators(effects: FleetEffects): void {
  setHandler(defineQuery<FleetStatus>('status'), () => effects.status());
  setHandler(defineSignal<[GracePeriodBegun]>(GRACE_PERIOD_SIGNAL), (begun) => {
    if (isGracePeriod(begun)) effects.inGracePeriod(begun);
  });
  setHandler(
    defineUpdate<RequestAccepted, [AbortRequest]>('abort'),
    (request) => {
      const given = textsOf(request);
      effects.abort(given);
      effects.record(entryOf(given));
      return { accepted: 'no further rotation is started; those that run go on' };
    },
    {
      validator: (_request) => {
        const why = effects.refusal();
        if (why) throw ApplicationFailure.nonRetryable(why, RequestRefusal.PastPointOfNoReturn);
      },
    },
  );
  setHandler(defineSignal<[AbortRequest]>('abort'), (request) => {
    const given = textsOf(request);
    const refused = effects.refusal();
    if (!refused) effects.abort(given);
    effects.record(entryOf(given, refused));
  });
}

/** Signals come from anybody; one that makes no sense must not hold the fleet up. */
function isGracePeriod(begun: Partial<GracePeriodBegun> | null | undefined): boolean {
  const isRun = begun?.runId === undefined || typeof begun.runId === 'string';
  return typeof begun?.secret === 'string' && typeof begun.graceEndsAt === 'string' && isRun;
}

/** Requests may come without an argument, and with anything. */
function textsOf(request: AbortRequest | null | undefined): AbortRequest {
  const text = (value: unknown) => (typeof value === 'string' ? value.slice(0, MAX_TEXT) : undefined);
  return { reason: text(request?.reason), requestedBy: text(request?.requestedBy) };
}

function entryOf({ reason, requestedBy }: AbortRequest, refused?: string): OperatorRequest {
  return { request: 'abort', at: new Date().toISOString(), reason, requestedBy, refused };
}
