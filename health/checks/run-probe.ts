/**
 * The probe of each kind of check.
 */
import { checkTraits, isPush, type CheckKind, type CheckSpec, type CompoundSpec } from '../../config/check-kinds.ts';
import type { ProbeConnection } from '../connection.ts';
import type { StopSignal } from '../stop-signal.ts';
import { probeCompound } from './probe-compound.ts';
import { probeDns } from './probe-dns.ts';
import { probeExec } from './probe-exec.ts';
import { probeHttp, startHttp } from './probe-http.ts';
import { probeTcp } from './probe-tcp.ts';
import { probeTls } from './probe-tls.ts';
import type { Probe, ProbeOptions, ProbeResult, ProbeTarget, StartProbe } from './probe.ts';

/** The kinds that have a probe. */
type ProbedKind = Exclude<CheckKind, 'push'>;

/** One row per kind. */
const PROBES: { readonly [K in ProbedKind]: Probe<Extract<CheckSpec, { kind: K }>> } = {
  http: probeHttp,
  https: probeHttp,
  tcp: probeTcp,
  tls: probeTls,
  dns: probeDns,
  // Loaded when needed: node:http2 takes some 10 MB.
  grpc: (...probe) => import('./probe-grpc.ts').then(({ probeGrpc }) => probeGrpc(...probe)),
  exec: probeExec,
  all_of: probeMembers,
  any_of: probeMembers,
  at_least: probeMembers,
};

function probeMembers(
  target: ProbeTarget,
  spec: CompoundSpec,
  signal: StopSignal,
  options?: ProbeOptions,
): Promise<ProbeResult> {
  return probeCompound(target, spec, signal, runProbe, options);
}

/** One probe of any kind; see `Probe`. */
export function runProbe(
  target: ProbeTarget,
  spec: CheckSpec,
  signal: StopSignal,
  options: ProbeOptions = {},
): Promise<ProbeResult> {
  if (!checkTraits(spec).reusesConnection) options.reused?.hangUp();
  if (isPush(spec)) return Promise.resolve({ passed: false, reason: 'a push check is not probed', elapsedMs: 0 });
  // The probe of a check's kind takes checks of that kind.
  const probe = PROBES[spec.kind] as Probe;
  const keepsOpen = !('watch' in spec) || spec.watch;
  return probe(target, spec, signal, keepsOpen ? options : { ...options, keep: undefined });
}

/** Starts one probe of any kind. */
export const startProbe: StartProbe = (target, spec, probing) => {
  if (spec.kind === 'http' || spec.kind === 'https') startHttp(target, spec, probing);
  else startPromised(runProbe)(target, spec, probing);
};

/** The same for probes that return a promise. */
export function startPromised(probe: Probe): StartProbe {
  return (target, spec, probing) => {
    const keep = (connection: ProbeConnection): void => {
      probing.keep?.(connection);
    };
    const { signal, clock, reused } = probing;
    probe(target, spec, signal, { keep, reused, ...(clock === undefined ? {} : { clock }) }).then(
      (result) => {
        probing.done(result);
      },
      (error: unknown) => {
        probing.fault(error);
      },
    );
  };
}
