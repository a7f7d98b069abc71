/**
 * gdnsd's service_types as checks.
 */
import { note, type DraftValue, type ZoneDraft } from './draft.ts';
import { fieldsOf } from './values.ts';
import { hashOf, stringOf, stringsOf, type VscfHash } from './vscf.ts';

/** gdnsd.config(5), SERVICE_TYPES. */
const DEFAULTS = { upThresh: 20, downThresh: 10, interval: 10 } as const;
/** Limits of a check in a zone file. */
const MAX = { results: 100, timeoutSeconds: 60 } as const;

/**
 * Adds the checks of `types` to the draft. Returns the name of one, `all_of` for several; undefined for none, and for
 * `up`.
 */
export function checkFor(draft: ZoneDraft, types: readonly string[], config: VscfHash): DraftValue | undefined {
  const names = [...new Set(types)].filter((name) => {
    if (name === 'down')
      note(draft, 'changed', undefined, 'the service_type down has no equivalent check: use pharos down');
    return name !== 'up' && name !== 'down' && define(draft, name, hashOf(config.get('service_types')));
  });
  return joined(draft, names);
}

/** `all_of` has no push checks, which nothing probes. */
function joined(draft: ZoneDraft, names: readonly string[]): DraftValue | undefined {
  const isPush = (name: string): boolean => fieldsOf(draft.checks.get(name))['type'] === 'push';
  const [only, ...more] = names;
  if (only === undefined) return undefined;
  if (more.length === 0) return only;
  const probed = names.filter((name) => !isPush(name));
  if (probed.length === names.length) return { all_of: [...names] };
  const kept = probed.length > 0 ? probed : [only];
  const advice = probed.length > 0 ? 'only the others are checked' : `report the worst of them as ${only}`;
  const text = `the service_types ${names.join(' and ')} together, of which ${names.filter(isPush).join(' and ')} read files: ${advice}`;
  note(draft, 'changed', undefined, text);
  return joined(draft, kept);
}

function define(draft: ZoneDraft, name: string, types: VscfHash): boolean {
  if (draft.checks.has(name)) return true;
  const type = types.get(name);
  const check = type === undefined ? undefined : checkOf(draft, name, hashOf(type));
  if (type === undefined) note(draft, 'dropped', undefined, `the service_type ${name}, which is not defined`);
  if (check) draft.checks.set(name, check);
  return check !== undefined;
}

function checkOf(draft: ZoneDraft, name: string, type: VscfHash): DraftValue | undefined {
  const number = (key: string, byDefault: number): number => {
    const value = Number(stringOf(type.get(key)) ?? byDefault);
    return Number.isFinite(value) && value > 0 ? value : byDefault;
  };
  const interval = number('interval', DEFAULTS.interval);
  const timing = {
    interval: `${interval}s`,
    timeout: `${Math.min(MAX.timeoutSeconds, number('timeout', Math.max(1, Math.floor(interval / 2))))}s`,
    rise: Math.min(MAX.results, number('up_thresh', DEFAULTS.upThresh)),
    fall: Math.min(MAX.results, number('down_thresh', DEFAULTS.downThresh)),
  };
  const port = stringOf(type.get('port'));
  const vhost = stringOf(type.get('vhost'));
  const plugin = stringOf(type.get('plugin'));
  switch (plugin) {
    case 'http_status': {
      const status = stringsOf(type.get('ok_codes'));
      return {
        type: 'http',
        path: stringOf(type.get('url_path')) ?? '/',
        ...(vhost === undefined ? {} : { host: vhost }),
        ...(port === undefined ? {} : { port: Number(port) }),
        status: status.length > 0 ? status.map(Number) : [200],
        ...timing,
      };
    }
    case 'tcp_connect':
      return { type: 'tcp', ...(port === undefined ? {} : { port: Number(port) }), ...timing };
    case 'extmon': {
      const command = stringsOf(type.get('cmd'));
      return { type: 'exec', command: commandOf(command), ...timing };
    }
    case 'extfile':
      note(
        draft,
        'changed',
        undefined,
        `${name}, which read a file, becomes a push check: a program must report its results`,
      );
      return { type: 'push', interval: timing.interval };
    default:
      note(
        draft,
        'dropped',
        undefined,
        `the service_type ${name}: Pharos has no check like the plugin ${plugin ?? '(none)'}`,
      );
      return undefined;
  }
}

/** gdnsd replaces `%%ITEM%%` by the address; a check's command gets it in its environment. */
function commandOf(command: readonly string[]): DraftValue {
  if (!command.some((word) => word.includes('%%ITEM%%'))) return [...command];
  const words = command.map((word) =>
    word
      .split('%%ITEM%%')
      .map((part) => (part === '' || /^[\w./:@%+=-]+$/.test(part) ? part : `'${part.replaceAll("'", `'\\''`)}'`))
      .join('"$PHAROS_ADDRESS"'),
  );
  return ['sh', '-c', `exec ${words.join(' ')}`];
}
