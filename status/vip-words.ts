/**
 * What is said of a VIP in a table, on the command line and on the status page: of a document, since the command line
 * has no more than that.
 */
import { percent } from '../config/units.ts';
import type { TrafficDocument } from './status-document.ts';
import type { VipDocument } from './vip-fields.ts';

/** What of a VIP says how urgent it is; of a document or of a state. */
type Standing = Pick<VipDocument, 'available' | 'effective'>;

/** How urgent a service is by its VIPs. 0, none is available; 1, one is down; 2, one is drained; 3, none of these. */
export function urgencyOf(vips: readonly Standing[]): number {
  if (!vips.some(({ available }) => available)) return 0;
  if (vips.some(({ effective }) => effective === 'down')) return 1;
  return vips.every(({ available }) => available) ? 3 : 2;
}

/** VIPs that are not available first; among equals, the order of the file. */
export function worstFirst<Vip extends Standing>(vips: readonly Vip[]): readonly Vip[] {
  return [...vips.filter(({ available }) => !available), ...vips.filter(({ available }) => available)];
}

/** `1,234 queries/s, NXDOMAIN 2.0/s, SERVFAIL 0/s in the last minute` */
export function trafficWords(traffic: TrafficDocument): string {
  const {
    seconds,
    queries_per_second: queries,
    nxdomain_per_second: nxdomain,
    servfail_per_second: servfail,
  } = traffic;
  const time = seconds >= 60 ? 'minute' : lasting(seconds);
  const rates = `${rateWords(queries)} queries/s, NXDOMAIN ${rateWords(nxdomain)}/s, SERVFAIL ${rateWords(servfail)}/s`;
  return `${rates} in the last ${time}`;
}

function rateWords(rate: number): string {
  if (rate === 0) return '0';
  if (rate < 0.1) return '<0.1';
  return rate < 100 ? rate.toFixed(1) : Math.round(rate).toLocaleString('en-GB');
}

/** Whether a state is as it should be; `none` where nobody looks. */
export type Tone = 'good' | 'bad' | 'odd' | 'none';

/** What counts, and what the probes say where somebody said otherwise: `drain (probed up)`. */
export function stateWords({ override, probed, effective, check }: VipDocument): { text: string; tone: Tone } {
  if (override !== null) return { text: `${override.state} (probed ${probed})`, tone: 'odd' };
  if (check === null) return { text: 'not checked', tone: 'none' };
  return { text: effective, tone: effective === 'up' ? 'good' : effective === 'down' ? 'bad' : 'odd' };
}

/** How long it has been so: of an override, else of the probed state. */
export function ageWords({ override, since }: VipDocument, nowMs: number): string {
  const from = override?.since ?? since;
  return from === null ? '-' : age(from, nowMs);
}

export function describeWeight({ weight, file_weight: fileWeight, weight_override: set }: VipDocument): string {
  return set === null ? String(weight) : `${weight} (file ${fileWeight})`;
}

/** The last result, or who said what for how long; on one line, whatever targets and operators write. */
export function whyWords(vip: VipDocument, nowMs: number): string {
  const { override, last_result: last, weight_override: set, ramp, load, shed } = vip;
  const parts: string[] = [];
  if (override !== null) {
    const { reason, until, by, safe_at: safeAt } = override;
    parts.push(reason || `by ${by === 'schedule' ? 'a schedule' : 'an operator'}`);
    if (until !== null) parts.push(`${lasting((Date.parse(until) - nowMs) / 1000)} left`);
    if (safeAt !== null) {
      const leftMs = Date.parse(safeAt) - nowMs;
      parts.push(leftMs <= 0 ? 'safe to stop' : `safe to stop in ${lasting(leftMs / 1000)}`);
    } else if (override.state === 'drain') parts.push('not safe to stop');
  } else if (last !== null) parts.push(last.reason);
  if (set?.reason) parts.push(`weight: ${set.reason}`);
  if (ramp < 1) parts.push(`ramps: ${percent(ramp)} of its weight`);
  if (load !== null) parts.push(`load ${percent(load)}${shed > 0 ? `, sheds ${percent(shed)} of its clients` : ''}`);
  // Of control characters some move the cursor of a terminal, or worse.
  return parts.join(', ').replace(/\p{Cc}+/gu, ' ');
}

export function age(iso: string, nowMs: number): string {
  return lasting((nowMs - Date.parse(iso)) / 1000);
}

/** `12 s`, `3 min`, `5 h`, `2 d`: one unit, as it is read in passing. */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}
