/**
 * The alarm `not_probed` (docs/alarms.md): which VIPs cannot be probed because of a fault of this machine, and why.
 * Their states are frozen, so an operator must know.
 */
import type { Alarms } from '../config/alarms.ts';
import type { Fault, ProbeResult } from './checks/probe.ts';

type Checked = { readonly members: readonly unknown[] };

export type NotProbedAlarm<Check> = {
  /** To be called with each result of a check. */
  note(check: Check, result: Pick<ProbeResult, 'fault' | 'reason'>): void;
  /** Sets the checks. */
  configure(checks: readonly Check[]): void;
  /** Updates the alarm after `suspect` was raised or ended. */
  update(): void;
  stop(): void;
};

export type NotProbedOptions = {
  readonly alarms: Alarms;
  /** Whether the alarm `suspect` is active: it already reports faults of the network. */
  readonly suspected: () => boolean;
};

export function createNotProbedAlarm<Check extends Checked>(options: NotProbedOptions): NotProbedAlarm<Check> {
  const { alarms, suspected } = options;
  /** Checks whose last result says nothing about their target. */
  const unprobed = new Map<Check, Fault>();
  /**
   * How many VIPs these checks have, by fault, and the latest reason. Many checks fail at once, so a result does not
   * count all of them again.
   */
  const vips: Record<Fault, number> = { machine: 0, network: 0, ours: 0 };
  const reasons: Partial<Record<Fault, string>> = {};
  let raised: string | undefined;

  const forget = (check: Check): boolean => {
    const fault = unprobed.get(check);
    if (fault === undefined) return false;
    unprobed.delete(check);
    vips[fault] -= check.members.length;
    return true;
  };

  const update = (): void => {
    const network = suspected() ? 0 : vips.network;
    const count = vips.machine + vips.ours + network;
    if (count === 0) {
      if (raised === undefined) return;
      alarms.clear('not_probed');
      raised = undefined;
      return;
    }
    const why = vips.machine > 0 ? reasons.machine : network > 0 ? reasons.network : reasons.ours;
    const what = count === 1 ? '1 VIP cannot be probed' : `${String(count)} VIPs cannot be probed`;
    const message = `${what}: ${why ?? ''}. ${count === 1 ? 'Its state is' : 'Their states are'} frozen.`;
    if (message === raised) return;
    raised = message;
    alarms.raise('not_probed', message);
  };

  return {
    note(check, { fault, reason }) {
      if (fault === undefined) {
        if (unprobed.size > 0 && forget(check)) update();
        return;
      }
      forget(check);
      unprobed.set(check, fault);
      vips[fault] += check.members.length;
      reasons[fault] = reason;
      update();
    },
    configure(checks) {
      const wanted = new Set(checks);
      vips.machine = vips.network = vips.ours = 0;
      for (const [check, fault] of unprobed) {
        if (wanted.has(check)) vips[fault] += check.members.length;
        else unprobed.delete(check);
      }
      update();
    },
    update,
    stop() {
      unprobed.clear();
      if (raised !== undefined) alarms.clear('not_probed');
      raised = undefined;
    },
  };
}
