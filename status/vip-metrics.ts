/**
 * The metrics of the VIPs in the text format of Prometheus. prom-client would create objects for every sample and
 * process labels at each scrape. With thousands of VIPs that takes longer than any other request to the status server.
 */
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import type { VipState } from './vips.ts';

type Family = {
  /** Without the prefix `pharos_`. */
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Undefined omits the sample. */
  readonly value: (state: VipState) => number | undefined;
  /** Additional labels as text. */
  readonly more?: (state: VipState) => string;
};

const FAMILIES: readonly Family[] = [
  {
    name: 'vip_up',
    type: 'gauge',
    help: 'Result of health checks: 1 up, 0 down; no sample while unknown.',
    value: ({ health }) =>
      health === undefined || health.probed === 'unknown' ? undefined : Number(health.probed === 'up'),
  },
  {
    name: 'vip_available',
    type: 'gauge',
    help: 'Whether DNS answers may name the VIP: 1 or 0.',
    value: ({ available }) => Number(available),
  },
  {
    name: 'vip_weight',
    type: 'gauge',
    help: 'The weight that steering uses.',
    value: ({ health, info }) => health?.weight ?? info.weight,
  },
  { name: 'vip_file_weight', type: 'gauge', help: 'The weight of the zone file.', value: ({ info }) => info.weight },
  {
    name: 'check_duration_seconds',
    type: 'gauge',
    help: 'Duration of the last probe.',
    value: ({ health }) => (health?.last === undefined ? undefined : health.last.elapsedMs / 1000),
  },
  {
    name: 'vip_last_result',
    type: 'gauge',
    help: 'Last result of health checks: 1 passed, 0 failed; the label has the beginning of the reason.',
    // A fault of this machine says nothing about the target.
    value: ({ health }) =>
      health?.last === undefined || health.last.fault !== undefined ? undefined : Number(health.last.passed),
    more: ({ health }) => `,reason="${escaped(reasonLabel(health?.last?.reason ?? ''))}"`,
  },
  {
    name: 'vip_probes_total',
    type: 'counter',
    help: 'Probes of this node that passed or failed.',
    value: ({ health }) => health?.probes?.made,
  },
  {
    name: 'vip_failed_probes_total',
    type: 'counter',
    help: 'Those that failed.',
    value: ({ health }) => health?.probes?.failed,
  },
  {
    name: 'vip_override',
    type: 'gauge',
    help: 'Active override; the value is 1.',
    value: ({ health }) => (health?.override === undefined ? undefined : 1),
    more: ({ health }) => `,state="${health?.override?.state ?? ''}"`,
  },
  { name: 'vip_served_total', type: 'counter', help: 'Answers that named the VIP.', value: ({ served }) => served },
];

/** Adds all metrics, each line with its line end. */
export async function writeVipMetrics(states: readonly VipState[], octets: Octets): Promise<void> {
  for (const { name, type, help, value, more } of FAMILIES) {
    const metric = `pharos_${name}`;
    octets.text(`# HELP ${metric} ${help}\n# TYPE ${metric} ${type}\n`);
    const begin = Buffer.from(`${metric}{`);
    await inTurns(states, (state) => {
      const sample = value(state);
      if (sample === undefined) return;
      octets.add(begin);
      octets.add(labelsOf(state));
      octets.text(`${more?.(state) ?? ''}} ${sample}\n`);
    });
  }
}

/**
 * What a reason begins with, such as `HTTP 200` of `HTTP 200, load 0.73`: each other value of a label is another time
 * series. Loads, days and quoted text follow later.
 */
function reasonLabel(reason: string): string {
  return (/^[^,;:"(]{0,64}/.exec(reason)?.[0] ?? '').trim();
}

/** The keys are the VIPs of a generation; their entries are freed with it. */
const labels = new WeakMap<VipInfo, Uint8Array>();

function labelsOf({ info, service, region }: VipState): Uint8Array {
  const known = labels.get(info);
  if (known !== undefined) return known;
  const text = `target="${escaped(info.target)}",service="${escaped(service)}",region="${escaped(region)}"`;
  const octets = Buffer.from(text);
  labels.set(info, octets);
  return octets;
}

/** Escapes a label value as the format requires. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
