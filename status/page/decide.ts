/** The explanation of one client's answer, and the effect of a command before it is given. */
import { percent } from '../../config/units.ts';
import type { SimulatedOrder, Simulation } from '../../server/forecast/simulate-failure.ts';
import { findService, vipsOf } from '../../zones/read/suggest-targets.ts';
import type { Runtime } from '../runtime.ts';
import { downOf, html, keptFields, linkTo, noteBox, shareWords, type PageQuery } from './markup.ts';
import { countryName } from './world.ts';

/** Why this client gets this answer: from the code that answers packets. */
export function explanation(runtime: Runtime, service: string, query: PageQuery): string {
  const { country, client } = query;
  const form = `<form class="inline" action="/">${keptFields({ ...query, service }, ['service', 'down'])}<label>What does this client get? <input name="client" placeholder="address" value="${html(client ?? '')}" maxlength="64"></label> <button>Explain</button></form>`;
  if ((country ?? '') === '' && (client ?? '') === '') return form;
  const place = client ? { client } : { country: country ?? '' };
  const info = findService(runtime.generation().catalog, service);
  const vips = info === undefined ? [] : vipsOf(runtime.generation().catalog, info);
  const type = vips.some(({ cname }) => cname !== undefined)
    ? 'CNAME'
    : vips.some(({ a }) => a !== undefined)
      ? 'A'
      : vips.some(({ aaaa }) => aaaa !== undefined)
        ? 'AAAA'
        : (vips[0]?.records?.[0]?.type ?? 'AAAA');
  const down = downOf(query);
  const explained = runtime.explain({ name: service, type, ...place, ...(down.length === 0 ? {} : { down }) });
  const what = client ? html(client) : html(countryName(country ?? ''));
  const close = `<a class="close" href="${linkTo(query, { country: undefined, client: undefined })}">Close</a>`;
  if (!explained.ok)
    return `${form}<section class="card" id="why"><h3>${what} ${close}</h3>${noteBox('odd', 'No explanation', explained.message)}</section>`;
  const { trace } = explained;
  const answers = trace.answer.records.map(({ type: each, ttl, data }) => `${each} ${data} (TTL ${ttl} s)`);
  const steps = trace.steps.map(
    ({ step, kept, why }) =>
      `<li><b>${html(step)}</b>: ${html(why)} <span class="soft">keeps ${html(kept.slice(0, 8).join(', ') || 'none')}</span></li>`,
  );
  const candidates = trace.candidates.map(
    ({ vip, region, available, why }) =>
      `<li><span class="${available ? 'good' : 'bad'}">${html(vip)}</span> <span class="soft">${html(region)}</span> ${html(why)}</li>`,
  );
  return `${form}<section class="card" id="why"><h3>${what} gets ${html(trace.answer.vips.join(', ') || trace.answer.rcode)} ${close}</h3>
<p>${html(answers.join('; '))}${down.length > 0 ? ` <b class="odd">if ${html(down.join(', '))} fails</b>` : ''}</p>
<p class="soft">${html(trace.client.how)}</p><ol class="steps">${steps.join('')}</ol>${trace.allDown === undefined ? '' : noteBox('bad', 'All are down', trace.allDown)}
<ul class="plainlist">${candidates.slice(0, 20).join('')}</ul><p class="soft">TTL: ${html(trace.ttl.why)}. Scope /${trace.scope.bits}: ${html(trace.scope.why)}.</p></section>`;
}

/** Who asks for the page, and what they may change; null where it is not known. */
export type PageClient = { readonly who: string | null; readonly roles: readonly string[] | null };

/** The weight of the file. */
const AUTO = 'auto';

const ACTIONS = ['drain', 'down', 'up', 'auto', 'weight'] as const;
type Action = (typeof ACTIONS)[number];

const ACTION_WORDS: Readonly<Record<Action, string>> = {
  drain: 'Drain',
  down: 'Force down',
  up: 'Force up',
  auto: 'Give back to the checks',
  weight: 'Set its weight',
};

/** The form of a command for these targets, and its effect once a command is chosen. */
export async function commandPanel(
  runtime: Runtime,
  targets: readonly string[],
  query: PageQuery,
  client: PageClient,
): Promise<string> {
  const action = ACTIONS.find((each) => each === query.act);
  const chosen = query.target ?? '';
  const options = targets.map((target) => `<option${target === chosen ? ' selected' : ''}>${html(target)}</option>`);
  const actions = ACTIONS.map(
    (each) =>
      `<option value="${each}"${each === (action ?? 'drain') ? ' selected' : ''}>${ACTION_WORDS[each]}</option>`,
  );
  const form = `<form class="act" action="/">${keptFields(query, ['service', 'region', 'find'])}
<label>Target <select name="target">${options.join('')}</select></label>
<label>Command <select name="act">${actions.join('')}</select></label>
<label>For <input name="for" placeholder="30m" size="5" value="${html(query.for ?? '')}"></label>
<label>Weight <input name="weight" size="4" value="${html(query.weight ?? '')}"></label>
<label>Reason <input name="reason" maxlength="200" value="${html(query.reason ?? '')}"></label>
<button>Show the effect</button></form>`;
  const effect = action === undefined || chosen === '' ? '' : await effectOf(runtime, action, chosen, query, client);
  return `<details id="act" class="card"${effect === '' ? '' : ' open'}><summary>Drain, force or weigh</summary>${form}${effect}</details>`;
}

async function effectOf(
  runtime: Runtime,
  action: Action,
  target: string,
  query: PageQuery,
  client: PageClient,
): Promise<string> {
  const weight = Number(query.weight);
  if (action === 'weight' && query.weight !== AUTO && !(/^\d+$/.test(query.weight ?? '') && weight <= 65_535)) {
    return noteBox(
      'odd',
      'A weight is missing',
      'Enter a number from 0 to 65535, where 0 makes it a standby, or "auto" for the weight of the file.',
    );
  }
  const words = await simulated(
    runtime,
    action === 'weight' ? { target, weight: query.weight === AUTO ? null : weight } : { target, state: action },
  );
  return `<div id="effect"><h3>Effect of ${action} ${html(target)}</h3>${words}${order(action, target, query, client)}</div>`;
}

async function simulated(runtime: Runtime, given: SimulatedOrder): Promise<string> {
  const { outcome, leave } = await runtime.simulate({ down: [], order: given, weigh: 'auto' });
  leave();
  if (outcome.kind === 'refused') return noteBox('bad', 'Not possible', outcome.message);
  if (outcome.kind !== 'done')
    return noteBox('odd', 'The effect is unknown', 'The server is busy with other simulations. Try again.');
  const { services } = JSON.parse(new TextDecoder().decode(outcome.json)) as Simulation;
  const rows = services.slice(0, 20).map(({ service, types, moved, stranded, moves }) => {
    const lost = stranded.after - stranded.before;
    const outage = lost > 0 ? ` <b class="bad">No VIP is left for ${shareWords(lost)} of its clients.</b>` : '';
    const to = moves.slice(0, 4).map(({ from, to: place, share }) => `${percent(share)} from ${from} to ${place}`);
    const text =
      moved === 0 ? 'no client moves' : `<b>${shareWords(moved)}</b> of clients move: ${html(to.join(', '))}`;
    return `<li>${html(service)} <span class="soft">${types.join(', ')}</span>: ${text}.${outage}</li>`;
  });
  const more = services.length > rows.length ? `<li>and ${services.length - rows.length} more services</li>` : '';
  return rows.length === 0 ? '<p>No client moves.</p>' : `<ul class="plainlist">${rows.join('')}${more}</ul>`;
}

/** The command to copy, and for browsers with a script the button that gives it. */
function order(action: Action, target: string, query: PageQuery, client: PageClient): string {
  const [life, reason] = [query.for?.trim() ?? '', query.reason?.trim() ?? ''];
  const options =
    action === 'auto'
      ? []
      : [
          ...(life === '' || action === 'weight' ? [] : ['--for', shellWord(life)]),
          ...(reason === '' ? [] : ['--reason', shellWord(reason)]),
        ];
  const line = [
    'pharos',
    action,
    shellWord(target),
    ...(action === 'weight' ? [query.weight ?? ''] : []),
    ...options,
  ].join(' ');
  const path = `/api/v1/${action === 'weight' ? 'weights' : 'overrides'}/${encodeURIComponent(target)}`;
  const extra = { ...(life === '' || action === 'weight' ? {} : { for: life }), ...(reason === '' ? {} : { reason }) };
  const body = action === 'weight' ? { weight: Number(query.weight), ...extra } : { state: action, ...extra };
  const isGivenBack = action === 'auto' || query.weight === AUTO;
  const attributes = isGivenBack
    ? `data-method="DELETE"`
    : `data-method="PUT" data-body="${html(JSON.stringify(body))}"`;
  return `<p><code id="line">${html(line)}</code> <button type="button" class="script copy" data-copy="${html(line)}">Copy</button></p>
<form class="order script" ${attributes} data-path="${html(path)}">${giver(client, action === 'weight' ? 'Set the weight' : ORDER_WORDS[action])}</form><p id="said" role="status" data-keep></p>`;
}

/** Who gives an order: a token of this tab, or one to enter. */
function giver({ who, roles }: PageClient, words: string): string {
  if (who === null || roles === null) {
    return `<label>Token <input type="password" name="token" autocomplete="off" required></label> <button>${words}</button>`;
  }
  if (roles.includes('operate')) return `<span class="soft">As ${html(who)}</span> <button>${words}</button>`;
  return `<button disabled aria-describedby="may-not">${words}</button> <span id="may-not" class="soft">${html(who)} may not give orders: it has the role ${html(roles.join(' and ') || 'read')}, and this needs the role operate.</span>`;
}

const ORDER_WORDS = {
  drain: 'Drain it now',
  down: 'Force it down now',
  up: 'Force it up now',
  auto: 'Give it back now',
} as const;

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
