/**
 * From a check to the probe of its kind.
 */
import type { Socket } from 'node:net';
import type { CheckSpec } from '../../config/settings.ts';
import { probeCompound } from './probe-compound.ts';
import { probeDns } from './probe-dns.ts';
import { probeExec } from './probe-exec.ts';
import { probeHttp } from './probe-http.ts';
import { probeTcp } from './probe-tcp.ts';
import { probeTls } from './probe-tls.ts';
import type { Keep, ProbeResult, ProbeTarget } from './probe.ts';

/** One probe of any kind; see `Probe`. */
export function runProbe(
  target: ProbeTarget,
  spec: CheckSpec,
  signal: AbortSignal,
  keep?: Keep,
  reused?: Socket,
): Promise<ProbeResult> {
  if (spec.kind !== 'http' && spec.kind !== 'https') reused?.destroy();
  switch (spec.kind) {
    case 'http':
    case 'https':
      return probeHttp(target, spec, signal, spec.watch ? keep : undefined, reused);
    case 'tcp':
      return probeTcp(target, spec, signal, spec.watch ? keep : undefined);
    case 'tls':
      return probeTls(target, spec, signal, spec.watch ? keep : undefined);
    case 'grpc':
      // Loaded by those who have such checks: node:http2 takes some 10 MB.
      return import('./probe-grpc.ts').then(({ probeGrpc }) => probeGrpc(target, spec, signal));
    case 'dns':
      return probeDns(target, spec, signal);
    case 'exec':
      return probeExec(target, spec, signal);
    case 'all_of':
    case 'any_of':
    case 'at_least':
      return probeCompound(target, spec, signal, runProbe, keep);
    case 'push':
      return Promise.resolve({ passed: false, reason: 'a push check is not probed', elapsedMs: 0 });
  }
}
