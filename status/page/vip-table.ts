/** The VIPs of a service or a region as a table: everything a person on call asks about a VIP. */
import type { ServiceMap } from '../../server/forecast/who-serves.ts';
import { ttlBounds } from '../../steering/steps.ts';
import type { ServiceInfo } from '../../zones/catalog.ts';
import type { Runtime } from '../runtime.ts';
import { vipDocument } from '../vip-fields.ts';
import { ageWords, describeWeight, stateWords, whyWords, worstFirst } from '../vip-words.ts';
import type { VipState } from '../vips.ts';
import { stateStrip } from './charts.ts';
import { html, linkTo, shareWords, type PageQuery } from './markup.ts';

export type ServiceEntry = {
  readonly service: ServiceInfo;
  /** Its VIPs, or those of one region. */
  readonly states: readonly VipState[];
  readonly isNotable: boolean;
  /** 0 is the worst. */
  readonly rank: number;
};

export type TableParts = {
  readonly runtime: Runtime;
  readonly nowMs: number;
  readonly query: PageQuery;
  /** For the shares intended of one service. */
  readonly map: ServiceMap | undefined;
};

const HEAD = `<tr><th>VIP<th>region<th>state<th>for<th class="n">weight<th class="n">intended<th class="n">served<th>last 24 hours<th>last result</tr>`;

export function serviceCard({ service, states }: ServiceEntry, parts: TableParts): string {
  const { least, most } = ttlBounds(service.ttl, service.steps);
  const ttl = least === most ? `${least}` : `${least} to ${most}`;
  const { recent } = parts.runtime;
  const { seconds } = recent();
  const sum = states.reduce((total, { servedLately }) => total + servedLately, 0);
  const rows = worstFirst(states).map((state) => vipRow(state, sum, seconds, parts));
  const steps = service.steps.map(({ kind }) => kind).join(', ');
  const rate = sum === 0 || seconds === 0 ? '' : `; ${rateWords(sum / seconds)} answers/s`;
  const partial = service.partial === undefined ? '' : '; regions that are partly down are served whole';
  const about = `TTL ${ttl} s; ${steps}; when all are down: ${service.whenAllDown}${partial}${rate}`;
  const link = linkTo({}, { service: service.name });
  return `<section class="service" data-key="${html(service.name)}"><h3><a href="${link}">${html(service.name)}</a> ${available(states)} <span class="soft">${html(about)}</span></h3>
<table class="vips"><thead>${HEAD}</thead><tbody>
${rows.join('\n')}
</tbody></table></section>
`;
}

function vipRow(state: VipState, sum: number, seconds: number, { runtime, nowMs, query, map }: TableParts): string {
  const vip = vipDocument(state);
  const { text, tone } = stateWords(vip);
  const meant = map?.service === vip.service ? map.vips.find((each) => each.vip === vip.vip) : undefined;
  const main = [vip.a, vip.aaaa, vip.cname, vip.leads_to].filter((each) => each !== null).join(' ');
  const records = Object.entries(vip.records).flatMap(([type, data]) => data.map((each) => `${type} ${each}`));
  const addresses = [...(main === '' ? [] : [main]), ...records].join('; ');
  // Where nothing is probed, it is a word.
  const probe = /[.:]/.test(vip.address) ? `probe ${vip.address}` : vip.address;
  const served = sum === 0 ? '-' : shareWords(vip.served_last_minute / sum);
  const rate =
    seconds === 0 || vip.served_last_minute === 0
      ? ''
      : ` <span class="soft">${rateWords(vip.served_last_minute / seconds)}/s</span>`;
  const last = vip.last_result;
  const took =
    last === null
      ? ''
      : ` <span class="soft">(${last.duration_ms.toFixed(last.duration_ms < 10 ? 1 : 0)} ms, ${ageOf(last.at, nowMs)} ago)</span>`;
  const act = linkTo({ service: vip.service }, { act: 'drain', target: vip.target });
  const cells = [
    `<td>${html(vip.vip)}<a class="do" href="${act}#act" aria-label="change ${html(vip.target)}">change</a><span class="soft small">${html(addresses)}</span><span class="soft small">${html(probe)}</span></td>`,
    `<td>${vip.region === null ? '-' : `<a href="${linkTo({}, { region: vip.region })}">${html(vip.region)}</a>`}</td>`,
    `<td class="state ${tone}">${html(text)}</td>`,
    `<td data-name="for">${ageWords(vip, nowMs)}</td>`,
    `<td class="n${vip.weight_override === null ? '' : ' odd'}" data-name="weight">${describeWeight(vip)}</td>`,
    `<td class="n" data-name="intended">${meant === undefined ? `<a class="soft" href="${linkTo(query, { service: vip.service, find: undefined, region: undefined })}" aria-label="show the intended share of ${html(vip.vip)}">show</a>` : shareWords(meant.now)}</td>`,
    `<td class="n" data-name="served">${served}${rate}</td>`,
    `<td>${stateStrip(runtime.history.of(vip.target))}</td>`,
    `<td class="last">${html(whyWords(vip, nowMs))}${took}</td>`,
  ];
  return `<tr data-key="${html(vip.target)}">${cells.join('')}</tr>`;
}

function ageOf(iso: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(iso)) / 1000));
  return seconds < 120 ? `${seconds} s` : `${Math.floor(seconds / 60)} min`;
}

export function rateWords(rate: number): string {
  return rate >= 100 ? String(Math.round(rate)) : rate >= 0.1 ? rate.toFixed(1) : rate === 0 ? '0' : '<0.1';
}

export function serviceLine({ service, states }: ServiceEntry): string {
  return `<li data-key="${html(service.name)}"><a href="${linkTo({}, { service: service.name })}">${html(service.name)}</a> ${available(states)}</li>\n`;
}

export function available(states: readonly VipState[]): string {
  const count = states.filter((state) => state.available).length;
  const tone = count === 0 ? 'bad' : count < states.length ? 'odd' : 'good';
  return `<span class="${tone}">${count} of ${states.length} available</span>`;
}
