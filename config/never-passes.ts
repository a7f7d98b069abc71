/**
 * Reports checks that can never pass, or never yield a load. These are errors: their VIPs would be down for ever, and
 * `when_all_down: serve_all` would hide that.
 */
import type { BodyMatch, StatusRange } from './check-fields.ts';
import type { Place, Report } from './diagnostics.ts';
import { compileExpression } from './expression.ts';
import { valueOf } from './fields.ts';
import { MAX_MATCHED_OCTETS, PUBLIC_CERTIFICATE_DAYS } from './limits.ts';
import { nodePlace, type YamlNode } from './yaml.ts';

type HttpRequest = {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly status: readonly StatusRange[];
  readonly body: BodyMatch | undefined;
  readonly loadPath: string | undefined;
};

/** Reports mistakes of an HTTP check as a whole. */
export function judgeHttpCheck(spec: HttpRequest, node: YamlNode, name: string, report: Report): void {
  const never = (key: string, why: string, hint: string): void => {
    report.error('PH092', `${name} can never pass: ${why}`, placeOfKey(node, key), hint);
  };
  const { method, status, body, loadPath, headers } = spec;
  // RFC 9110 15.2: a final response follows an interim one, and only the final one counts. 101 ends HTTP.
  // Invalid entries have been reported.
  if (status.length === 0) return;
  if (status.every(({ from, to }) => to < 200 && !covers({ from, to }, 101))) {
    never('status', 'a 1xx response is never the final one', 'such as status: 200-399');
    return;
  }
  const bodyless = whyBodyless(method, status);
  if (bodyless !== undefined) {
    const hint = method === 'HEAD' ? 'use method: GET' : 'add a status that has a body, such as 200';
    if (body !== undefined && !matchesNothing(body)) never('body', bodyless, hint);
    if (loadPath !== undefined) {
      report.error('PH092', `${name} can never read a load: ${bodyless}`, placeOfKey(node, 'load_path'), hint);
    }
  }
  judgeMatch(body, 'body', node, name, report);
  for (const [header, value] of Object.entries(headers)) {
    // A check sends no body. The target would wait for the body until the timeout.
    const promises = /^transfer-encoding$/i.test(header) || (/^content-length$/i.test(header) && value.trim() !== '0');
    if (promises) never('headers', `${header} announces a body, and a check sends none`, `remove ${header}`);
  }
}

/** RFC 9110 9.3.2, 15.3.5, 15.3.6, 15.4.5. */
function whyBodyless(method: string, status: readonly StatusRange[]): string | undefined {
  if (method === 'HEAD') return 'a response to HEAD has no body';
  const allowed = status.flatMap((range) =>
    Array.from({ length: range.to - range.from + 1 }, (_, at) => range.from + at),
  );
  const final = allowed.filter((code) => code >= 200);
  if (final.some((code) => ![204, 205, 304].includes(code))) return undefined;
  return `a response with status ${final.join(' or ')} has no body`;
}

function covers({ from, to }: StatusRange, code: number): boolean {
  return from <= code && code <= to;
}

/** `body` and `expect` are searched in the first 64 KiB. */
export function judgeMatch(
  match: BodyMatch | undefined,
  key: string,
  node: YamlNode,
  name: string,
  report: Report,
): void {
  if (match?.kind !== 'text') return;
  const octets = Buffer.byteLength(match.text);
  if (octets <= MAX_MATCHED_OCTETS) return;
  const message = `${name} can never pass: ${key} has ${octets} octets, and only the first ${MAX_MATCHED_OCTETS} are searched`;
  report.error('PH092', message, placeOfKey(node, key), 'a few characters are enough');
}

/** Public certificates are never valid for so long. Those of a private authority may be. */
export function judgeDaysLeft(days: number | undefined, node: YamlNode, report: Report): void {
  if (days === undefined || days < PUBLIC_CERTIFICATE_DAYS) return;
  const message = `min_days_left is ${days}; public certificates are valid for at most ${PUBLIC_CERTIFICATE_DAYS} days`;
  report.warning('PH094', message, placeOfKey(node, 'min_days_left'), 'use fewer days, such as 14');
}

/** Whether it matches an empty body, as `/^$/` does. */
function matchesNothing(match: BodyMatch): boolean {
  return match.kind === 'regex' && compileExpression(match.source, match.flags).test('');
}

function placeOfKey(node: YamlNode, key: string): Place {
  return nodePlace(valueOf(node, key) ?? node, 0, valueOf(node, key)?.kind === 'scalar' ? undefined : 1);
}
