/**
 * Where a YAML file holds secrets: values that no diagnostic may show, for diagnostics go to logs and over HTTP.
 * Judged by keys, and before anything is read, so that a line of any file with mistakes can be shown.
 */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import { nearestWord } from './nearest-word.ts';

/** Offsets into the file's text; `end` is behind the last character. `signs`: YAML's own are not hidden within. */
export type SecretSpan = { readonly start: number; readonly end: number; readonly signs?: true };

/** `token`, `secret`, `cookie_secrets`, and what somebody would call another one. */
const SECRET = /token|secret|passw|passphrase|credential|authorization|api[-_]?key|^(?:key|cookies?|auth)$/i;
/** Headers have credentials, `send` may log in. */
const WHOLE: ReadonlySet<string> = new Set(['headers', 'send']);
/** Mistyped ones: an unknown key is shown with its line. */
const MISTYPED = ['token', 'secret', 'cookie_secrets', 'headers'];
/** Below these, keys are names of the operator's: a service may be called `token`. */
const NAMES: ReadonlySet<string> = new Set(
  ['regions', 'checks', 'services', 'vips', 'keys', 'networks', 'urls', 'set', 'geo', 'bias'], //
);
/** Of zone files: what stands there is published, and there may be very much of it. */
const PUBLIC: ReadonlySet<string> = new Set(['records', 'nameservers', 'include']);
/** `token abc`, where the colon is missing: all behind the first word. */
const WITHOUT_COLON = /^["']?[\w-]*(?:token|secret|passw|authorization)\S*(?=\s)/i;
/** URLs of chat systems are all that it takes to post there, others may have a user and password. */
const URL_LIKE = /\/\/|-----BEGIN |[?&;][\w.-]*token=/i;
/** Whose URLs every browser is told; a password in them is a secret all the same. */
const BROWSERS = 'beacon';
const USERINFO = /:\/\/[^\s/?#"']*@|-----BEGIN |[?&;][\w.-]*token=/i;
/** What the environment has is not in the file: its name may be shown, and helps. */
const SHOWN = /\$\{\w+\}|[\s"']/g;
const SIGNS = /\$\{\w+\}|[\s"'{}[\],-]/g;
/** In text that is no YAML, or a comment. */
const KEY_IN_TEXT = /[\w-]*(?:token|secret|passw|authorization|headers|notify|url)[\w-]*/i;

/** The scalars that are secrets, in no order. `contents` is what a document of `yaml` has, whole or not. */
export function secretSpans(contents: unknown, text: string): SecretSpan[] {
  const spans: SecretSpan[] = [];
  const anchors = new Map<string, unknown>();
  const hidden = new Set<unknown>();
  const known = new Map<string, boolean>();
  const isSecretKey = (key: string): boolean => {
    const is = known.get(key) ?? (SECRET.test(key) || WHOLE.has(key) || nearestWord(key, MISTYPED) !== undefined);
    known.set(key, is);
    return is;
  };
  const walk = (node: unknown, path: readonly string[], secret: boolean): void => {
    if ((isScalar(node) || isMap(node) || isSeq(node)) && node.anchor !== undefined) anchors.set(node.anchor, node);
    if (isMap(node)) {
      const ofNames = NAMES.has(path.at(-1) ?? '');
      let orphan = false;
      for (const { key, value } of node.items) {
        const word = isScalar(key) ? (key.source ?? '') : '';
        if (path.length === 0 && PUBLIC.has(word)) continue;
        // `? token: abc`, and `- abc:` where a value belongs; the names of headers are none.
        walk(key, [], orphan || (secret && !WHOLE.has(path.at(-1) ?? '')));
        const below = secret || (!ofNames && isSecretKey(word));
        walk(value, [...path, word], below || orphan);
        // `{ token, abc }`
        orphan = below && (value === null || (isScalar(value) && value.source === ''));
      }
    } else if (isSeq(node)) {
      for (const item of node.items) walk(item, path, secret);
    } else if ((isScalar(node) || isAlias(node)) && node.range) {
      const [start, end] = node.range;
      const source = text.slice(start, end);
      if (!secret && !isSecretPlace(path) && !(path[0] === BROWSERS ? USERINFO : URL_LIKE).test(source)) {
        const word = WITHOUT_COLON.exec(source)?.[0];
        if (word !== undefined) spans.push({ start: start + word.length, end });
        return;
      }
      // `token: ${NAME}` without its quotes, in braces.
      if (source === '$') return;
      spans.push({ start: withProperties(text, start), end });
      const target = isAlias(node) ? anchors.get(node.source) : undefined;
      // Once each: aliases within what an alias stands for can be very many.
      if (target === undefined || hidden.has(target)) return;
      hidden.add(target);
      walk(target, path, true);
    }
  };
  walk(contents, [], false);
  return spans;
}

/** YAML 1.2 6.9: a tag or an anchor stands before what it belongs to, and a value that begins with `!` is taken for one. */
function withProperties(text: string, start: number): number {
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return start - (/(?:[!&][^\s,[\]{}!&]*[ \t]*)+$/.exec(before)?.[0].length ?? 0);
}

/** What is a secret by where it stands; `path` is the keys above a value. */
function isSecretPlace(path: readonly string[]): boolean {
  const [above, key] = [path.at(-2), path.at(-1)];
  // `keys: { second: "..." }` and `status: "..."`, where a map belongs.
  return above === 'keys' || (key === 'status' && path.length === 1);
}

/** A line that starts at `start` of the text, with asterisks for what is secret in it: columns stay what they are. */
export function hideSecrets(line: string, start: number, spans: readonly SecretSpan[]): string {
  let shown = line;
  for (const span of spans) {
    const [from, to] = [Math.max(0, span.start - start), Math.min(line.length, span.end - start)];
    if (from < to) shown = hide(shown, from, to, span.signs === true ? SIGNS : SHOWN);
  }
  // What is commented out may be a secret all the same.
  return shown.includes('#') ? shown.replace(/(?:^|\s)#.*$/, hideInComment) : shown;
}

/** In a comment, what follows the first word that may be a secret's key. */
function hideInComment(comment: string): string {
  const key = KEY_IN_TEXT.exec(comment);
  return key ? hide(comment, key.index + key[0].length, comment.length, SIGNS) : comment;
}

/**
 * For a file that is no YAML: a secret may be no value of its key then, so that whatever follows a word that may be one
 * is hidden, on its line and on the lines below it that are indented further.
 */
export function secretsInText(text: string, lines: readonly number[]): SecretSpan[] {
  const spans: SecretSpan[] = [];
  let indent = Infinity;
  lines.forEach((start, at) => {
    const end = lines[at + 1] ?? text.length;
    const line = text.slice(start, end);
    const depth = line.search(/[^\s-]/);
    if (depth > indent) spans.push({ start, end, signs: true });
    else if (depth >= 0) indent = Infinity;
    const key = KEY_IN_TEXT.exec(line);
    if (!key) return;
    spans.push({ start: start + key.index + key[0].length, end, signs: true });
    indent = Math.min(indent, depth);
  });
  return spans;
}

function hide(line: string, from: number, to: number, shown: RegExp): string {
  const piece = line.slice(from, to);
  let hidden = '';
  let at = 0;
  for (const match of piece.matchAll(shown)) {
    hidden += '*'.repeat(match.index - at) + match[0];
    at = match.index + match[0].length;
  }
  return line.slice(0, from) + hidden + '*'.repeat(piece.length - at) + line.slice(to);
}

/** `/health?token=abc`: what a query says of a secret. */
const IN_QUERY = /([?&;][\w.-]*(?:token|secret|passw|key|auth|sig|credential)[\w.-]*=)[^&;#\s"']+/gi;

/** Text for a message, without what looks like a secret wherever it stands. */
export function hideShapes(text: string): string {
  return text.replace(IN_QUERY, '$1***');
}

/** A message that quotes the file, without what is secret of the quotation. */
export function hideInMessage(message: string, quoted: string): string {
  return quoted.trim() === '' ? message : message.replaceAll(quoted, '***');
}
