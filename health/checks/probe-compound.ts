/**
 * The probe of checks that combine others: `all_of`, `any_of`, `at_least`. It probes all members at the same time, and
 * has its result as soon as the other members cannot change it.
 */
import { checkTraits, type CheckSpec, type CompoundSpec } from '../../config/check-kinds.ts';
import { systemClock } from '../clock.ts';
import { createStopper, type StopSignal } from '../stop-signal.ts';
import { awaitDeadline } from './probe-run.ts';
import {
  elapsedSince,
  formatMs,
  onAbort,
  ownPort,
  type Probe,
  type ProbeOptions,
  type ProbeResult,
  type ProbeTarget,
} from './probe.ts';

/** A member with its result; undefined: its probe is running. */
type Member = { readonly spec: CheckSpec; result: ProbeResult | undefined };

/**
 * Passes when enough members pass. `run` probes a member. The load is the largest that a member reported.
 */
export async function probeCompound(
  target: ProbeTarget,
  spec: CompoundSpec,
  signal: StopSignal,
  run: Probe,
  { clock = systemClock, keep }: ProbeOptions = {},
): Promise<ProbeResult> {
  const startedMs = clock.now();
  const stopper = createStopper();
  const stop = (): void => {
    stopper.abort();
  };
  const members = spec.members.map((member): Member => ({ spec: member, result: undefined }));
  let decided: ProbeResult | undefined;
  const decide = (result: Omit<ProbeResult, 'elapsedMs'>): void => {
    decided ??= { ...result, ...firstEndOf(members), elapsedMs: elapsedSince(clock, startedMs) };
    stop();
  };

  const forget = onAbort(signal, () => {
    decide({ passed: false, reason: 'probe cancelled' });
  });
  const cancelDeadline = awaitDeadline(clock, spec.timeoutMs, () => {
    decide(verdictOf(spec, members, `no answer in ${formatMs(spec.timeoutMs)}`));
  });
  await Promise.all(
    members.map(async (member) => {
      const result = await run(memberTarget(target, member.spec), member.spec, stopper, { keep, clock });
      // After the decision, the other probes are cancelled.
      if (decided !== undefined) return;
      member.result = result;
      if (isSettled(spec, members)) decide(verdictOf(spec, members));
    }),
  );
  forget();
  cancelDeadline();
  return decided ?? { ...verdictOf(spec, members), ...firstEndOf(members), elapsedMs: elapsedSince(clock, startedMs) };
}

/**
 * The first expiry of the members' certificates. Empty until all of them are known, so that the value does not
 * alternate.
 */
function firstEndOf(members: readonly Member[]): Pick<ProbeResult, 'certificateEndsMs'> {
  if (members.some(({ spec, result }) => result === undefined && showsCertificate(spec))) return {};
  const ends = members.flatMap(({ result }) => result?.certificateEndsMs ?? []);
  return ends.length === 0 ? {} : { certificateEndsMs: Math.min(...ends) };
}

/**
 * Whether the missing results cannot matter. Waits for loads: a load that is reported only sometimes is worse than
 * none.
 */
function isSettled({ needed }: CompoundSpec, members: readonly Member[]): boolean {
  const passed = members.filter(({ result }) => result?.passed === true).length;
  const missing = members.filter(({ result }) => result === undefined);
  if (passed + missing.length < needed) return true;
  return passed >= needed && !missing.some(({ spec }) => tellsLoad(spec));
}

function tellsLoad(spec: CheckSpec): boolean {
  if ('members' in spec) return spec.members.some(tellsLoad);
  return 'loadPath' in spec && spec.loadPath !== undefined;
}

function showsCertificate(spec: CheckSpec): boolean {
  if ('members' in spec) return spec.members.some(showsCertificate);
  return checkTraits(spec).overTls;
}

/** `all 3 passed`, `2 of 3 passed; web: connect refused`, `tls: certificate expires in 3 days`. */
function verdictOf(spec: CompoundSpec, members: readonly Member[], missing?: string): Omit<ProbeResult, 'elapsedMs'> {
  const count = members.length;
  const passed = members.filter(({ result }) => result?.passed === true).length;
  const failures = members.flatMap(({ spec: { name }, result }) => {
    if (result?.passed === true) return [];
    const reason = result?.reason ?? missing;
    return reason === undefined ? [] : [`${name}: ${reason}`];
  });
  if (passed < spec.needed) {
    const unprobed = members.find(({ result }) => result?.fault !== undefined);
    const couldPass = passed + members.filter(({ result }) => result?.fault !== undefined).length;
    if (unprobed?.result?.fault !== undefined && couldPass >= spec.needed) {
      // The members that were not probed could have passed.
      const reason = `${unprobed.spec.name}: ${unprobed.result.reason}`;
      return { passed: false, reason, answered: false, fault: unprobed.result.fault };
    }
    // States the failures, not the passes: other members may still pass after the decision.
    const failed = `${String(failures.length)} of ${String(count)} failed, ${String(spec.needed)} must pass`;
    const head = spec.kind === 'all_of' ? [] : [failed];
    const answered = members.some(
      ({ spec: member, result }) => result?.answered ?? (result?.passed && !checkTraits(member).runsCommand),
    );
    return { passed: false, reason: [...head, ...failures].join('; '), answered };
  }
  const head = passed === count ? `all ${String(count)} passed` : `${String(passed)} of ${String(count)} passed`;
  const loads = members.flatMap(({ result }) => (result?.passed === true ? (result.load ?? []) : []));
  const reason = [head, ...failures].join('; ');
  return loads.length === 0 ? { passed: true, reason } : { passed: true, reason, load: Math.max(...loads) };
}

/** A member's own port precedes the port of the VIP's `probe`: members may use several ports. */
function memberTarget({ host, port }: ProbeTarget, spec: CheckSpec): ProbeTarget {
  // The port is chosen for each of its members.
  if ('members' in spec) return { host, port };
  return { host, port: ownPort(spec) ?? (port === 0 ? checkTraits(spec).defaultPort : port) };
}
