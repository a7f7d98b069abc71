/**
 * Random signed zones with everything that makes denials hard.
 */
import type { Dice } from './random.ts';

/** Most names of random zones have these. */
export const ZONE_LABELS = ['a', 'b', 'c', 'm', 'z', '*', 'www'];

/** One to three labels; `inner`: those after the first. */
export function randomName(dice: Dice, labels: readonly string[], inner = labels): string {
  return Array.from({ length: 1 + dice.below(3) }, (_, at) => dice.pick(at === 0 ? labels : inner)).join('.');
}

/** A zone with records, aliases, wildcards, cuts, DNAMEs and services at random names. */
export function randomZone(
  dice: Dice,
  { apex = 'example.com', dnssec = 'true', labels = ZONE_LABELS, inner = labels }: { readonly apex?: string; readonly dnssec?: string; readonly labels?: readonly string[]; readonly inner?: readonly string[] } = {}, // prettier-ignore
): { readonly text: string; readonly services: readonly string[] } {
  const records = new Map<string, string>();
  const services = new Map<string, string>();
  const isFree = (name: string): boolean =>
    [...records, ...services].every(
      ([other, text]) => other !== name && !(/NS|DNAME/.test(text) && name.endsWith(`.${other}`)),
    );
  for (let i = 0; i < 8 + dice.below(12); i++) {
    const name = randomName(dice, labels, inner);
    if (!isFree(name)) continue;
    const kind = dice.below(10);
    if (
      kind === 8 &&
      ![...records.keys(), ...services.keys()].some((other) => other.endsWith(`.${name}`)) &&
      !name.includes('*')
    ) {
      records.set(name, dice.chance(0.5) ? `{ DNAME: b.${apex}. }` : '{ NS: ns.example.net. }');
    } else if (kind === 7) records.set(name, `{ CNAME: ${randomName(dice, ['a', 'b', 'c', 'x'])} }`);
    else if (kind === 6 && !name.startsWith('*')) {
      const isBelow = [...records.keys(), ...services.keys()].some((other) => other.endsWith(`.${name}`));
      if (!isBelow) records.set(name, `{ NS: ns.example.net., DS: "1 13 2 ${'ab'.repeat(32)}" }`);
    } else if (kind >= 4) {
      const count = 1 + dice.below(4);
      const vips = Array.from({ length: count }, (_, vip) => {
        const others = dice.sample(['TXT: [same, SAME]', `TXT: [same, t${vip}]`, `MX: 10 m${vip}`, 'MX: [10 A, 20 m0]', 'CAA: 0 issue x'], dice.below(3)); // prettier-ignore
        const types = others.filter(
          (text, at) => others.findIndex((each) => each.slice(0, 3) === text.slice(0, 3)) === at,
        );
        const a = types.length > 0 && dice.chance(0.3) ? [] : [`A: 192.0.2.${vip + 1}`];
        const aaaa = dice.chance(0.5) ? [`AAAA: "2001:db8::${vip + 1}"`] : [];
        return `v${vip}: { ${[...a, ...aaaa, ...types].join(', ')} }`;
      });
      const fixed = [
        ...(vips.some((vip) => /\bA{1,4}:/.test(vip)) ? ['A: 198.51.100.1'] : []),
        ...(vips.some((vip) => vip.includes('TXT')) ? ['TXT: [sorry, again]'] : []),
      ];
      const makesSvcb = dice.chance(0.4);
      // Either all of the services that make up one have svcb, or none.
      const inner = dice.chance(0.4) ? dice.sample([...services].filter(([, text]) => text.includes('svcb:') === makesSvcb), 1 + dice.below(2)) : []; // prettier-ignore
      const nested = inner.map(([other], at) => `n${at}: { service: '${other}' }`);
      const down = dice.pick([
        'serve_all',
        'none',
        fixed.length === 0 ? 'none' : `{ ${fixed.join(', ')} }`,
        '{ CNAME: a }',
      ]);
      services.set(
        name,
        `{ vips: { ${dice.chance(0.5) ? [...vips, ...nested].join(', ') : [...nested, ...vips].join(', ')} }, answers: ${dice.pick(['1', '2', 'all'])}, ttl: ${dice.pick(['20', '{ min: 5, max: 300 }'])}, when_all_down: ${down}, steer: [weighted]${makesSvcb ? ', svcb: { alpn: [h2, h3], port: 8443 }' : ''} }`,
      );
    } else
      records.set(
        name,
        dice.pick(['{ A: [192.0.2.1, 192.0.2.2] }', '{ TXT: x, MX: 10 a }', '{ AAAA: "2001:db8::9" }']),
      );
  }
  const lines = (map: ReadonlyMap<string, string>): string =>
    [...map].map(([name, text]) => `  '${name}': ${text}`).join('\n');
  const text = `zone: ${apex}
dnssec: ${dnssec}
soa: { expire: 4d }
nameservers: [ns.example.net.]
${records.size > 0 ? `records:\n${lines(records)}` : ''}
${services.size > 0 ? `services:\n${lines(services)}` : ''}
`;
  return { text, services: [...services.keys()] };
}
