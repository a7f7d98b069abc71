/**
 * Random configurations for the model of the whole: as files for the server, and as plain objects for the reference.
 */
import { createDice, type Dice } from '../../support/random.ts';
import type { RefRegion, RefService, RefStep, RefVip } from '../steering/reference.ts';

/** The hosts that checks probe; host 1 is 203.0.113.1. */
export const HOSTS = 6;
/** The records `t0` and so on, of each zone. */
export const TEXTS = 4;
/** `ex` changes by updates in place; `sx` is signed. */
export const ZONES = ['ex', 'sx'] as const;
export type ModelZone = (typeof ZONES)[number];
const SERVICES: readonly ModelZone[] = ['ex', 'ex', 'sx'];
/** Those of VIPs; those of nodes are some of them. */
export const REGIONS = ['seoul', 'dublin', 'tokyo'] as const;

/** How a fleet decides. Without a fleet it has no meaning. */
export type ModelRule = {
  /** As in files. */
  readonly quorum: string;
  readonly view: 'fleet' | 'region' | 'own';
  /** Undefined: all. */
  readonly from: readonly string[] | undefined;
  readonly probers: number | undefined;
};
export type ModelCheck = {
  readonly rise: number;
  readonly fall: number;
  readonly intervalMs: number;
  readonly fastMs: number;
  readonly port: number;
  readonly rule: ModelRule;
};
export type ModelVip = RefVip & {
  /** `s0.ex/v0` */
  readonly target: string;
  readonly host: number;
  readonly weight: number;
};
export type ModelService = {
  /** `s0.ex` */
  readonly name: string;
  readonly check: ModelCheck | undefined;
  readonly vips: readonly ModelVip[];
  readonly model: RefService;
};
export type Texts = Readonly<Record<ModelZone, readonly string[]>>;
export type World = {
  readonly regionsYaml: string;
  readonly regions: Readonly<Record<string, RefRegion>>;
  readonly services: readonly ModelService[];
  readonly texts: Texts;
  /** Of `sx`. */
  readonly denial: 'nsec' | 'compact';
  /** The zone file, with these texts. */
  readonly yamlOf: (zone: ModelZone, texts: Texts) => string;
};

/** The same world for the same seed. */
export function worldOf(seed: number): World {
  const dice = createDice(seed);
  const regions = Object.fromEntries(
    REGIONS.map((name): [string, RefRegion] => [name, { point: undefined, minHealthy: dice.pick([0, 0, 0.5, 1]) }]),
  );
  const services = SERVICES.map((zone, index) => randomService(dice, `s${index}`, zone));
  const textsOf = (): readonly string[] => Array.from({ length: TEXTS }, () => String(dice.below(1000)));
  const denial = dice.pick(['nsec', 'nsec', 'compact'] as const);
  const yamlOf = (zone: ModelZone, texts: Texts): string =>
    [
      `zone: ${zone}`,
      'nameservers: [ns.out.example.]',
      ...(zone === 'sx' ? [`dnssec: { denial: ${denial} }`, 'soa: { expire: 4d }'] : ['soa: { serial: 1 }']),
      `records: { ${texts[zone].map((text, index) => `t${index}: { TXT: "${text}" }`).join(', ')} }`,
      'services:',
      ...services.filter((service) => service.name.endsWith(zone)).map(({ yaml }) => yaml),
      '',
    ].join('\n');
  const regionsYaml = Object.entries(regions)
    .map(([name, { minHealthy }]) => `${name}: { min_healthy: ${minHealthy * 100}% }`)
    .join(', ');
  return { regionsYaml, regions, services, texts: { ex: textsOf(), sx: textsOf() }, denial, yamlOf };
}

function randomService(dice: Dice, label: string, zone: ModelZone): ModelService & { readonly yaml: string } {
  const check = dice.chance(0.15)
    ? undefined
    : {
        rise: dice.pick([1, 2, 3]),
        fall: dice.pick([1, 2, 3]),
        intervalMs: dice.pick([5000, 10_000]),
        fastMs: dice.pick([1000, 2000]),
        port: dice.pick([80, 8080]),
        rule: randomRule(dice),
      };
  const hosts = dice.sample(
    Array.from({ length: HOSTS }, (_, index) => index + 1),
    1 + dice.below(4),
  );
  const vips = hosts.map((host, index): ModelVip => {
    const both = dice.chance(0.4);
    return {
      ...{ name: `v${index}`, target: `${label}.${zone}/v${index}`, host, weight: dice.pick([0, 1, 1, 2, 5]) },
      region: dice.chance(0.1) ? undefined : dice.pick(REGIONS),
      a: both || dice.chance(0.8) ? `203.0.113.${host}` : undefined,
      ...{ aaaa: undefined, cname: undefined },
    };
  });
  const kept = vips.map((vip) => (vip.a === undefined ? { ...vip, aaaa: `2001:db8::${vip.host}` } : vip));
  const steps = dice.pick<() => readonly { readonly yaml: string; readonly step: RefStep }[]>([
    () => [order(dice, kept)],
    () => [WEIGHTED],
    () => [order(dice, kept), WEIGHTED],
    () => [{ yaml: 'sticky', step: { kind: 'sticky', v4Bits: 24, v6Bits: 56 } }],
    () => [{ yaml: 'all', step: { kind: 'all' } }],
  ])();
  const min = dice.pick([0, 5]);
  const max = min + dice.pick([0, 20, 60]);
  const hasAll = steps.some(({ step }) => step.kind === 'all');
  const model: RefService = {
    vips: kept,
    steps: steps.map(({ step }) => step),
    answers: hasAll ? 256 : 1,
    sheds: false,
    partial: 'serve_up',
    ttl: { min, max },
    whenAllDown: dice.pick(['serve_all', 'serve_all', 'none', { a: '192.0.2.99', aaaa: undefined, cname: undefined }]),
  };
  const yaml = [
    `  ${label}:`,
    `    ttl: ${min === max ? min : `{ min: ${min}, max: ${max} }`}`,
    ...(check ? [`    check: ${checkYaml(check)}`] : []),
    '    vips:',
    ...kept.map(({ name: vip, region, weight, host, a, aaaa }) => {
      const data = [
        a && `A: ${a}`,
        aaaa && `AAAA: "${aaaa}", probe: "203.0.113.${host}:${check?.port ?? 80}"`,
        region && `region: ${region}`,
      ];
      return `      ${vip}: { ${[...data.filter(Boolean), `weight: ${weight}`].join(', ')} }`;
    }),
    `    steer: [${steps.map((step) => step.yaml).join(', ')}]`,
    `    when_all_down: ${typeof model.whenAllDown === 'string' ? model.whenAllDown : '{ A: 192.0.2.99 }'}`,
  ].join('\n');
  return { name: `${label}.${zone}`, check, vips: kept, model, yaml };
}

const WEIGHTED = { yaml: 'weighted', step: { kind: 'weighted' } } as const;

function order(dice: Dice, vips: readonly ModelVip[]): { readonly yaml: string; readonly step: RefStep } {
  const names = dice.sample([...REGIONS, ...vips.map(({ name }) => name)], 1 + dice.below(5));
  return { yaml: `{ failover: [${names.join(', ')}] }`, step: { kind: 'failover', order: names } };
}

function checkYaml({ rise, fall, intervalMs, fastMs, port, rule }: ModelCheck): string {
  return `{ type: tcp, port: ${port}, rise: ${rise}, fall: ${fall}, interval: ${intervalMs}ms, fast: ${fastMs}ms, watch: false, ${ruleYaml(rule)} }`;
}

function randomRule(dice: Dice): ModelRule {
  return {
    quorum: dice.pick(['majority', 'majority', 'one', 'all', '2', '50%']),
    view: dice.pick(['fleet', 'fleet', 'fleet', 'region', 'own']),
    from: dice.chance(0.2) ? dice.sample(REGIONS, 1 + dice.below(2)) : undefined,
    probers: dice.chance(0.2) ? 1 : undefined,
  };
}

/** As keys of a check. */
export function ruleYaml({ quorum, view, from, probers }: ModelRule): string {
  const more = [
    view !== 'fleet' && `view: ${view}`,
    from && `from: [${from.join()}]`,
    probers && `probers: ${probers}`,
  ];
  return [`quorum: ${quorum}`, ...more.filter(Boolean)].join(', ');
}
