/**
 * Raises and clears alarms that depend on states, orders, files and certificates rather than on one event: services
 * without VIPs, forgotten drains, lost state, certificates that expire.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AlarmCode, Alarms } from '../../config/alarms.ts';
import { EXPIRED } from '../../health/checks/probe.ts';
import type { Health, SeenCertificate } from '../../health/engine.ts';
import { BAD } from '../../health/state-file.ts';
import { createServiceJudge, type ServiceVerdict } from '../../server/forecast/service-verdict.ts';
import { age, lasting } from '../../status/vip-words.ts';
import type { Current } from './generation.ts';

export type AlarmWatch = {
  /** Starts the watch, once the server answers. */
  readonly start: () => void;
  /** The state or the override of a target has changed. */
  readonly changed: (target: string) => void;
  /** Another generation is in force. */
  readonly replaced: () => void;
  readonly stop: () => void;
};

export type AlarmWatchParts = {
  readonly alarms: Alarms;
  /** The generation in force. */
  readonly current: () => Current;
  readonly health: () => Health;
  readonly stateDir: string;
  /** Milliseconds since 1970. */
  readonly wallMs?: () => number;
};

/** A drain or a forced down without an end counts as forgotten after this. */
export const DRAINED_LONG_MS = 24 * 3_600_000;
/** A certificate that ends within this is an alarm: ACME clients renew a month before. */
export const CERTIFICATE_ENDS_MS = 14 * 86_400_000;

/** How often to check states that change without an event, such as the end of a hold. */
const SERVICES_EVERY_MS = 1000;
/** How often to check orders, certificates and files. */
const SLOW_EVERY_MS = 5000;

/** A generation, with the numbers of its services by name. */
type Judged = {
  readonly of: Current;
  readonly numbers: ReadonlyMap<string, number>;
  readonly judge: (service: number) => ServiceVerdict;
};

type WatchState = {
  readonly parts: Required<AlarmWatchParts>;
  judged: Judged | undefined;
  timers: NodeJS.Timeout[];
  /** Files with a `state_lost` alarm of this watch. */
  lostFiles: ReadonlySet<string>;
  isLookingAtFiles: boolean;
  /** Set while a check of all orders is due. */
  soon: NodeJS.Immediate | undefined;
};

export function createAlarmWatch(parts: AlarmWatchParts): AlarmWatch {
  const watch: WatchState = {
    parts: { wallMs: Date.now, ...parts },
    ...{ judged: undefined, timers: [], lostFiles: new Set(), isLookingAtFiles: false, soon: undefined },
  };
  return {
    start() {
      judgeAll(watch);
      lookAtSlow(watch);
      watch.timers = [
        setInterval(judgeAll, SERVICES_EVERY_MS, watch).unref(),
        setInterval(lookAtSlow, SLOW_EVERY_MS, watch).unref(),
      ];
    },
    changed(target) {
      if (watch.timers.length === 0) return;
      judgeService(watch, target.slice(0, target.lastIndexOf('/')));
      // One order may change many targets: check once for all.
      watch.soon ??= setImmediate(() => {
        watch.soon = undefined;
        lookAtOrders(watch);
      });
    },
    replaced() {
      if (watch.timers.length === 0) return;
      const names = new Set(judgedNow(watch).numbers.keys());
      parts.alarms.retain('service_down', names);
      parts.alarms.retain('service_degraded', names);
      judgeAll(watch);
      lookAtSlow(watch);
    },
    stop() {
      for (const timer of watch.timers) clearInterval(timer);
      watch.timers = [];
      clearImmediate(watch.soon);
    },
  };
}

function judgedNow(watch: WatchState): Judged {
  const of = watch.parts.current();
  if (watch.judged?.of === of) return watch.judged;
  const numbers = new Map(of.catalog.services.map(({ name }, number) => [name, number]));
  return (watch.judged = { of, numbers, judge: createServiceJudge(of.loaded, of.health) });
}

function judgeService(watch: WatchState, name: string): void {
  const { alarms } = watch.parts;
  const { numbers, judge } = judgedNow(watch);
  const service = numbers.get(name);
  if (service === undefined) return;
  const verdict = judge(service);
  // The new alarm is raised before the old one is cleared, so that a service in trouble always has one.
  if (verdict.kind === 'down') alarms.raise('service_down', verdict.message, name);
  if (verdict.kind === 'degraded') alarms.raise('service_degraded', verdict.message, name);
  if (verdict.kind !== 'down') alarms.clear('service_down', name);
  if (verdict.kind !== 'degraded') alarms.clear('service_degraded', name);
}

function judgeAll(watch: WatchState): void {
  for (const name of judgedNow(watch).numbers.keys()) judgeService(watch, name);
}

function lookAtSlow(watch: WatchState): void {
  lookAtOrders(watch);
  lookAtCertificates(watch);
  void lookAtFiles(watch);
}

/** Makes `messages`, by subject, the only alarms with this code. */
function setAlarms(alarms: Alarms, code: AlarmCode, messages: ReadonlyMap<string, string>): void {
  for (const [subject, message] of messages) alarms.raise(code, message, subject);
  alarms.retain(code, new Set(messages.keys()));
}

function lookAtOrders({ parts: { alarms, health, wallMs } }: WatchState): void {
  setAlarms(alarms, 'drained_long', forgottenOrders(health(), wallMs()));
}

function lookAtCertificates({ parts: { alarms, current, health, wallMs } }: WatchState): void {
  const { tls, status } = current().settings;
  const pairs = [
    { keyPair: tls?.keyPair, use: 'DNS over TLS' },
    { keyPair: status?.tls?.keyPair, use: 'the status server' },
  ];
  const own = pairs.flatMap(({ keyPair, use }) =>
    keyPair === undefined
      ? []
      : [{ subject: keyPair.path, what: `The certificate ${keyPair.path} for ${use}`, endsMs: keyPair.expiresAtMs }],
  );
  const all = [...own, ...health().certificates().map(certificateOf)];
  const ending = all.filter(({ endsMs }) => endsMs - wallMs() < CERTIFICATE_ENDS_MS);
  setAlarms(
    alarms,
    'certificate_expiring',
    new Map(ending.map(({ subject, what, endsMs }) => [subject, `${what} ${endWords(endsMs, wallMs())}`])),
  );
}

async function lookAtFiles(watch: WatchState): Promise<void> {
  const { alarms, stateDir } = watch.parts;
  if (watch.isLookingAtFiles) return;
  watch.isLookingAtFiles = true;
  try {
    const kept = (await readdir(stateDir).catch(() => [])).filter((name) => name.endsWith(`.json${BAD}`));
    const found = new Set<string>();
    for (const name of kept) {
      const bad = join(stateDir, name);
      const file = bad.slice(0, -BAD.length);
      found.add(file);
      const isUp = alarms.list().some(({ code, subject }) => code === 'state_lost' && subject === file);
      // An alarm that was raised when the file was read has more details.
      if (!isUp) alarms.raise('state_lost', lostWords(file, bad), file);
    }
    for (const file of watch.lostFiles) if (!found.has(file)) alarms.clear('state_lost', file);
    watch.lostFiles = found;
  } finally {
    watch.isLookingAtFiles = false;
  }
}

/** Messages, by target, for old orders without an end that keep a VIP out of answers. */
function forgottenOrders(health: Health, nowMs: number): ReadonlyMap<string, string> {
  const long = health.overrides().filter(({ state, since, until, present }) => {
    return present && state !== 'up' && until === undefined && nowMs - Date.parse(since) >= DRAINED_LONG_MS;
  });
  return new Map(
    long.map(({ target, state, since, reason }) => {
      const what = state === 'drain' ? 'drained' : 'forced down';
      const why = reason === undefined ? '' : ` (${reason})`;
      const message = `${target} has been ${what} for ${age(since, nowMs)}${why}. If the override is no longer needed, clear it: pharos auto ${target}`;
      return [target, message];
    }),
  );
}

type Certificate = { readonly subject: string; readonly what: string; readonly endsMs: number };

function certificateOf({ targets, address, endsMs }: SeenCertificate): Certificate {
  const [first = ''] = targets;
  const more = targets.length > 1 ? ` and ${String(targets.length - 1)} more` : '';
  return { subject: first, what: `The certificate of ${first}${more}, seen at ${address},`, endsMs };
}

function endWords(endsMs: number, nowMs: number): string {
  if (endsMs === EXPIRED) return 'or a certificate of its chain has expired. Renew it.';
  const left = (endsMs - nowMs) / 1000;
  const on = new Date(endsMs).toISOString().slice(0, 16).replace('T', ' ');
  return left < 0 ? `expired ${lasting(-left)} ago. Renew it.` : `expires in ${lasting(left)}, on ${on} UTC. Renew it.`;
}

function lostWords(file: string, bad: string): string {
  return `${file} could not be read at a start, so its content was lost. The file is kept as ${bad}. Set again what is missing, then remove the kept file.`;
}
