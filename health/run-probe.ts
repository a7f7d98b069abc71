/**
 * From a check to the probe of its kind.
 */
import type { CheckSpec } from '../config/settings.ts';
import { probeDns } from './probe-dns.ts';
import { probeHttp } from './probe-http.ts';
import { probeTcp } from './probe-tcp.ts';
import type { Keep, ProbeResult, ProbeTarget } from './probe.ts';

/** One probe of any kind; see `Probe`. */
export function runProbe(target: ProbeTarget, spec: CheckSpec, signal: AbortSignal, keep?: Keep): Promise<ProbeResult> {
  switch (spec.kind) {
    case 'http':
    case 'https':
      return probeHttp(target, spec, signal, spec.watch ? keep : undefined);
    case 'tcp':
      return probeTcp(target, spec, signal, spec.watch ? keep : undefined);
    case 'dns':
      return probeDns(target, spec, signal);
    case 'push':
      return Promise.resolve({ passed: false, reason: 'a push check is not probed', elapsedMs: 0 });
  }
}
