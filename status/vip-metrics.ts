/**
 * The metrics of the VIPs, in the text format of Prometheus. prom-client makes objects of every sample and sorts out
 * labels at each scrape, which with thousands of VIPs takes longer than all else that is asked of the status server.
 */
import type { VipInfo } from '../zones/catalog.ts';
import { inTurns, type Octets } from './assemble-reply.ts';
import type { VipState } from './vips.ts';

type Family = {
  /** Without `pharos_`. */
  readonly name: string;
  readonly type: 'gauge' | 'counter';
  readonly help: string;
  /** Undefined: no sample. */
  readonly value: (state: VipState) => number | undefined;
  /** Labels beside those that all have, written out. */
  readonly more?: (state: VipState) => string;
};

const FAMILIES: readonly Family[] = [
  {
    name: 'vip_up',
    type: 'gauge',
    help: 'What the probes say: 1 up, 0 down; no sample while unknown.',
    value: ({ health }) =>
      health === undefined || health.probed === 'unknown' ? undefined : Number(health.probed === 'up'),
  },
  {
    name: 'vip_available',
    type: 'gauge',
    help: 'Whether the VIP may be answered with: 1 or 0.',
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
    help: 'How long the last probe took.',
    value: ({ health }) => (health?.last === undefined ? undefined : health.last.elapsedMs / 1000),
  },
  {
    name: 'vip_override',
    type: 'gauge',
    help: 'An override in force: 1.',
    value: ({ health }) => (health?.override === undefined ? undefined : 1),
    more: ({ health }) => `,state="${health?.override?.state ?? ''}"`,
  },
  { name: 'vip_served_total', type: 'counter', help: 'Answers that named the VIP.', value: ({ served }) => served },
];

/** Adds all of them, with a line end after the last. */
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

/** Both go with the generation, whose VIPs are the keys. */
const labels = new WeakMap<VipInfo, Uint8Array>();

function labelsOf({ info, service, region }: VipState): Uint8Array {
  const known = labels.get(info);
  if (known !== undefined) return known;
  const text = `target="${escaped(info.target)}",service="${escaped(service)}",region="${escaped(region)}"`;
  const octets = Buffer.from(text);
  labels.set(info, octets);
  return octets;
}

/** As the format wants label values. */
function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
