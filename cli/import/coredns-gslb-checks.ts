/**
 * Health checks of CoreDNS-GSLB.
 */
import type { Name } from '../../wire/name.ts';
import { addCheck, note, type DraftValue, type ZoneDraft } from './draft.ts';
import { fieldsOf, listOf, numberOf, textOf, type Fields } from './values.ts';

/** Defaults of the plug-in. */
const INTERVAL = '10s';
const TIMEOUT = '5s';
const RISE = 2;
const FALL = 3;

/** Returns the name of the check of a backend, `none` for one that is always up, or undefined without a check. */
export function corednsCheck(
  draft: ZoneDraft,
  owner: Name,
  record: Fields,
  backend: Fields,
  profiles: Fields,
): string | undefined {
  if (textOf(backend['assume_healthy']) === 'true') return 'none';
  const common = {
    interval: textOf(record['scrape_interval']) ?? INTERVAL,
    rise: Math.max(1, numberOf(backend['rise']) ?? RISE),
    fall: Math.max(1, numberOf(backend['fall']) ?? numberOf(record['scrape_retries']) ?? FALL),
  };
  const timeout = textOf(backend['timeout']) ?? textOf(record['scrape_timeout']) ?? TIMEOUT;
  const names = listOf(backend['healthchecks']).flatMap((each) => {
    const profile = textOf(each);
    const written = profile === undefined ? each : profiles[profile];
    if (written === undefined) {
      note(
        draft,
        'changed',
        owner,
        `the health check ${profile ?? ''} is not in these files: give the service a check`,
      );
      return [];
    }
    const spec = specOf(fieldsOf(written), timeout);
    if (typeof spec !== 'string') return addCheck(draft, spec.type, { ...spec, ...common });
    note(draft, 'changed', owner, `the health check of the type ${spec}: give the service a check`);
    return [];
  });
  const [only] = names;
  return names.length > 1 ? addCheck(draft, 'all', { all_of: names, ...common }) : only;
}

type Spec = { readonly type: string; readonly [key: string]: DraftValue };

/** Returns the check. If it has no equivalent, returns its type and the reason, as text. */
function specOf(check: Fields, defaultTimeout: string): Spec | string {
  const params = fieldsOf(check['params']);
  const type = textOf(check['type']) ?? '';
  const port = numberOf(params['port']);
  const timeout = textOf(params['timeout']) ?? defaultTimeout;
  switch (type) {
    case 'http': {
      const isTls = textOf(params['enable_tls']) === 'true';
      const [host, body] = [textOf(params['host']), textOf(params['expected_body'])];
      const headers = Object.fromEntries(
        Object.entries(fieldsOf(params['headers'])).flatMap(([key, value]) => {
          const text = textOf(value);
          return text === undefined ? [] : [[key, text]];
        }),
      );
      return {
        type: isTls ? 'https' : 'http',
        path: textOf(params['uri']) ?? '/',
        ...(host === undefined || host === '' ? {} : { host }),
        ...(port === undefined || port === (isTls ? 443 : 80) ? {} : { port }),
        ...((textOf(params['method']) ?? 'GET') === 'GET' ? {} : { method: textOf(params['method']) ?? 'GET' }),
        ...(Object.keys(headers).length === 0 ? {} : { headers }),
        status: numberOf(params['expected_code']) ?? 200,
        ...(body === undefined || body === '' ? {} : { body }),
        ...(isTls && textOf(params['skip_tls_verify']) === 'true' ? { insecure: true } : {}),
        timeout,
      };
    }
    case 'tcp':
      return port === undefined ? 'tcp, without a port' : { type: 'tcp', port, timeout };
    case 'grpc': {
      const service = textOf(params['service']) ?? '';
      return { type: 'grpc', ...(port === undefined ? {} : { port }), ...(service === '' ? {} : { service }), timeout };
    }
    case 'icmp':
      return { type: 'exec', command: ['sh', '-c', 'exec ping -c 1 "$PHAROS_ADDRESS"'], timeout };
    default:
      return `${type}, which has no equivalent`;
  }
}
