/**
 * Texts about a VIP for the tables of the command line and the status page. They come from the document, because the
 * command line has only that.
 */
import { groupThousands, percent } from '../config/units.ts';
import type { TrafficDocument } from './status-document.ts';
import type { VipDocument } from './vip-fields.ts';

/** The members, of a document or a state, that decide how urgent a VIP is. */
type Availability = Pick<VipDocument, 'available' | 'effective'>;

/** Urgency of a service by its VIPs: 0, none is available; 1, one is down; 2, one is drained; 3, none of these. */
export function urgencyOf(vips: readonly Availability[]): number {
  if (!vips.some(({ available }) => available)) return 0;
  if (vips.some(({ effective }) => effective === 'down')) return 1;
  return vips.every(({ available }) => available) ? 3 : 2;
}

/** VIPs that are not available come first; otherwise the order of the file. */
export function worstFirst<Vip extends Availability>(vips: readonly Vip[]): readonly Vip[] {
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
  const rates = `${perSecondWords(queries)} queries/s, NXDOMAIN ${perSecondWords(nxdomain)}/s, SERVFAIL ${perSecondWords(servfail)}/s`;
  return `${rates} in the last ${time}`;
}

/** A rate per second. */
export function perSecondWords(rate: number): string {
  if (rate === 0) return '0';
  if (rate < 0.1) return '<0.1';
  return rate < 100 ? rate.toFixed(1) : groupThousands(Math.round(rate));
}

/** How to display a state: `good` as wanted, `none` without a check. */
export type Tone = 'good' | 'bad' | 'odd' | 'none';

/** The effective state, with the probed state beside an override: `drain (probed up)`. */
export function stateWords({ override, probed, effective, check }: VipDocument): { text: string; tone: Tone } {
  if (override !== null) return { text: `${override.state} (probed ${probed})`, tone: 'odd' };
  if (check === null) return { text: 'not checked', tone: 'none' };
  return { text: effective, tone: effective === 'up' ? 'good' : effective === 'down' ? 'bad' : 'odd' };
}

/** Age of the override, otherwise of the probed state. */
export function ageWords({ override, since }: VipDocument, nowMs: number): string {
  const from = override?.since ?? since;
  return from === null ? '-' : age(from, nowMs);
}

export function describeWeight({ weight, file_weight: fileWeight, weight_override: set }: VipDocument): string {
  return set === null ? String(weight) : `${weight} (file ${fileWeight})`;
}

/** On one line: the override's reason and remaining time, or the fleet's verdict if it differs, or the last result. */
export function whyWords(vip: VipDocument, nowMs: number): string {
  const { override, last_result: last, dissent, weight_override: set, ramp, load, shed } = vip;
  const parts: string[] = [];
  if (override !== null) {
    const { reason, until, by, safe_at: safeAt } = override;
    parts.push(reason || `by ${by === 'schedule' ? 'a schedule' : 'an operator'}`);
    if (until !== null) parts.push(`${lasting((Date.parse(until) - nowMs) / 1000)} left`);
    if (safeAt !== null) {
      const leftMs = Date.parse(safeAt) - nowMs;
      parts.push(leftMs <= 0 ? 'safe to stop' : `safe to stop in ${lasting(leftMs / 1000)}`);
    } else if (override.state === 'drain') parts.push('not safe to stop');
  } else if (typeof dissent === 'string') parts.push(dissent);
  else if (last !== null) parts.push(last.reason);
  if (set?.reason) parts.push(`weight: ${set.reason}`);
  if (ramp < 1) parts.push(`ramp: ${percent(ramp)} of its weight`);
  if (load !== null) parts.push(`load ${percent(load)}${shed > 0 ? `, sheds ${percent(shed)} of its clients` : ''}`);
  // Reasons come from targets and operators: control characters could move the cursor of a terminal, or worse.
  return parts.join(', ').replace(/\p{Cc}+/gu, ' ');
}

export function age(iso: string, nowMs: number): string {
  return lasting((nowMs - Date.parse(iso)) / 1000);
}

/** `12 s`, `3 min`, `5 h`, `2 d`: one unit, for reading at a glance. */
export function lasting(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}
