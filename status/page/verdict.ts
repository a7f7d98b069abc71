/** The verdict of the status page: is it us, how bad, and do the nodes agree; worst first. */
import { groupThousands } from '../../config/units.ts';
import { fleetLine, fleetNodes } from '../fleet-document.ts';
import type { Runtime } from '../runtime.ts';
import { urgencyOf, type Tone } from '../vip-words.ts';
import type { VipState } from '../vips.ts';

export type PageVerdict = {
  readonly tone: Exclude<Tone, 'none'>;
  /** `1 service down`, `2 of 41 VIPs down`, ...: the worst first. */
  readonly parts: readonly { readonly text: string; readonly tone: Tone }[];
};

/** `states` are the states of all VIPs, by slot. */
export function pageVerdict(runtime: Runtime, states: readonly VipState[]): PageVerdict {
  const { services } = runtime.generation().catalog;
  const alarms = runtime.alarms();
  const missing = runtime.notReady();
  const count = (wanted: VipState['effective']): number =>
    states.filter(({ effective, health }) => effective === wanted && (wanted !== 'unknown' || health?.checked === true))
      .length;
  const [down, drained, unknown] = [count('down'), count('drain'), count('unknown')];
  const dead = services.filter(
    ({ firstSlot, vipCount }) => vipCount > 0 && urgencyOf(states.slice(firstSlot, firstSlot + vipCount)) === 0,
  ).length;
  const critical = alarms.filter(({ severity }) => severity === 'critical').length;
  const parts: PageVerdict['parts'][number][] = [];
  const say = (tone: Tone, text: string): void => {
    parts.push({ tone, text });
  };
  if (missing.length > 0) say('bad', `not ready: ${missing.join('; ')}`);
  if (dead > 0) say('bad', `${howMany(dead, 'service')} down`);
  if (down > 0) say('bad', `${groupThousands(down)} of ${howMany(states.length, 'VIP')} down`);
  if (drained > 0) say('odd', `${howMany(drained, 'VIP')} drained`);
  if (unknown > 0) say('odd', `${howMany(unknown, 'VIP')} not checked yet`);
  if (down === 0 && drained === 0 && unknown === 0 && states.length > 0) {
    say('good', states.length === 1 ? 'the VIP is up' : `all ${groupThousands(states.length)} VIPs up`);
  }
  if (states.length === 0) say('none', 'no services');
  if (alarms.length > 0) {
    say(
      critical > 0 ? 'bad' : 'odd',
      `${howMany(alarms.length, 'alarm')}${critical > 0 ? ` (${critical} critical)` : ''}`,
    );
  }
  const nodes = nodesPart(runtime);
  if (nodes) parts.push(nodes);
  const isBad = missing.length > 0 || dead > 0 || critical > 0;
  const isOdd = parts.some(({ tone }) => tone === 'bad' || tone === 'odd');
  return { tone: isBad ? 'bad' : isOdd ? 'odd' : 'good', parts };
}

/** `node ams1, 3 of 3 nodes agree`; undefined without a fleet. */
function nodesPart(runtime: Runtime): PageVerdict['parts'][number] | undefined {
  const { fleet } = runtime;
  const line = fleetLine(runtime);
  if (fleet === undefined || line === null) return undefined;
  if (line.alone) return { tone: 'bad', text: `node ${line.node} is alone` };
  const own = fleet.config();
  const agreeing = fleetNodes(runtime, fleet).filter(({ state, config }) => state !== 'lost' && config === own).length;
  const isSplit = runtime.alarms().some(({ code }) => code === 'split_verdict');
  const words = isSplit ? 'regions disagree' : `${agreeing} of ${line.nodes} nodes agree`;
  return { tone: agreeing === line.nodes && !isSplit ? 'good' : 'odd', text: `node ${line.node}, ${words}` };
}

export function howMany(count: number, noun: string): string {
  return `${groupThousands(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** Short enough for a tab: `2 of 41 VIPs down`. */
export function titleOfVerdict({ parts }: PageVerdict): string {
  return parts
    .slice(0, 2)
    .map(({ text }) => text)
    .join(' · ');
}

const SIGNS = {
  good: { colour: '#1a7f44', sign: 'M9 17l5 5 9-11' },
  odd: { colour: '#b26a00', sign: 'M16 8v10M16 23v1' },
  bad: { colour: '#c62828', sign: 'M10 10l12 12M22 10L10 22' },
} as const;

/** The icon of the tab: colour and sign say the state. */
export function iconOf({ tone }: PageVerdict): string {
  const { colour, sign } = SIGNS[tone];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="16" fill="${colour}"/><path d="${sign}" fill="none" stroke="#fff" stroke-width="4" stroke-linecap="round" stroke-linejoin="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}
