/**
 * Finds the secrets in a YAML file: values that diagnostics must not show, since diagnostics go to logs and over HTTP.
 * The keys identify the secrets, before anything else is read, so that lines of any file with mistakes can be shown.
 */
import { isAlias, isMap, isScalar, isSeq } from 'yaml';
import { nearestWord } from './nearest-word.ts';

/** Offsets into the file's text; `end` is exclusive. `signs`: YAML's punctuation in the span stays visible. */
export type SecretSpan = { readonly start: number; readonly end: number; readonly signs?: true };

/** `token`, `secret`, `cookie_secrets`, and similar names. */
const SECRET =
  /token|secret|passw|passphrase|credential|authorization|api[-_]?key|^(?:key|n[-_]?keys?|n?key[-_]?seed|seed|cookies?|auth)$/i;
/** Headers contain credentials; `send` may contain a login. */
const WHOLE: ReadonlySet<string> = new Set(['headers', 'send']);
/** Misspelled keys count as well: the line of an unknown key is shown. */
const MISTYPED = ['token', 'secret', 'password', 'nkey', 'cookie_secrets', 'headers'];
/** Arguments of a program may contain a login. The program stays visible. */
const COMMAND = 'command';
/** Below these, keys are names chosen by the operator: a service may have the name `token`. */
const NAMES: ReadonlySet<string> = new Set(
  ['regions', 'checks', 'services', 'vips', 'keys', 'networks', 'urls', 'set', 'geo', 'bias'], //
);
/** Keys of zone files with published values, which may be very many. */
const PUBLIC: ReadonlySet<string> = new Set(['records', 'nameservers', 'include']);
/** `token abc`, without the colon: everything after the first word. */
const WITHOUT_COLON = /^["']?[\w-]*(?:token|secret|passw|authorization|nkey)\S*(?=\s)/i;
// Lengths have limits: without them, a long text would take time with its square.

/** Names in a query whose value is a secret: `/health?token=abc`. */
const QUERY_NAME = String.raw`[?&;][\w.-]{0,64}(?:token|secret|passw|pwd?|key|auth|sig|credential)[\w.-]{0,64}=`;
/** User and password before a host: `nats://user:abc@host`, `user:abc@host`; not an IPv6 address with a port of NSD. */
const LOGIN = String.raw`(?<![^\s/:@"'[\]{}])(?![\da-fA-F:.]{1,64}@)[^\s/:@"'[\]{}]{1,128}:[^\s/@"']{1,512}@`;
/** The seed of an NKEY of NATS: a prefix of two letters, then base32. */
const NKEY_SEED = String.raw`\bS[ACNOUX][A-Z2-7]{56}\b`;
/** The key of a TSIG in the notation of dig: `hmac-sha256:name:abc`, `name:hmac-sha256:abc`. */
const TSIG_KEY = String.raw`hmac-(?:md5|sha\d+):`;
/** Secret wherever it is. */
const SHAPES = ['-----BEGIN ', QUERY_NAME, LOGIN, NKEY_SEED, TSIG_KEY].join('|');
/** The URL of a chat system's webhook is a secret; other URLs may contain a user and password. */
const URL_LIKE = new RegExp(String.raw`\/\/|${SHAPES}`, 'i');
/** URLs below this key are sent to every browser, but a password in them is still a secret. */
const BROWSERS = 'beacon';
const USERINFO = new RegExp(String.raw`:\/\/[^\s/?#"']*@|${SHAPES}`, 'i');
/** References to variables stay visible: the name is not secret, and it helps to find the mistake. */
const SHOWN = /\$\{\w+\}|[\s"']/g;
const SIGNS = /\$\{\w+\}|[\s"'{}[\],-]/g;
/** In comments, and in text that is not YAML. */
const KEY_IN_TEXT =
  /[\w-]{0,64}(?:token|secret|passw|authorization|nkey|seed|headers|command|notify|url|(?<!name)servers)[\w-]{0,64}/i;

/** Other keys of a file of tokens may be tokens. */
const TOKEN_NAME = /^["']?[\w.@+-]{1,64}["']?$/;

/** Roles in a file of tokens, in which every other value is a secret. */
export type ShownWords = readonly string[];
const ROLES = 'roles';

/**
 * Finds the secret scalars, in no order. `contents` is that of a `yaml` document, complete or not. With `shown`, all
 * values are secret but these roles, also misspelled.
 */
export function secretSpans(contents: unknown, text: string, shown?: ShownWords): SecretSpan[] {
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
    if (shown && isScalar(node) && path.at(-1) === ROLES && nearestWord(node.source ?? '', shown)) return;
    if (isMap(node)) {
      const ofNames = NAMES.has(path.at(-1) ?? '');
      let orphan = false;
      for (const { key, value } of node.items) {
        const word = isScalar(key) ? (key.source ?? '') : '';
        if (path.length === 0 && PUBLIC.has(word)) continue;
        // `? token: abc`, and `- abc:` in place of a value. Names of headers are not secret.
        const isName = shown ? isScalar(key) && value !== null && TOKEN_NAME.test(word) : WHOLE.has(path.at(-1) ?? '');
        walk(key, [], orphan || (secret && !isName));
        const below = secret || (!ofNames && isSecretKey(word));
        const ofProgram = !ofNames && word === COMMAND;
        if (ofProgram && isScalar(value) && value.range) spans.push(...argumentsIn(value.range, text));
        if (ofProgram && isSeq(value)) for (const item of value.items.slice(1)) walk(item, [...path, word], true);
        walk(value, [...path, word], below || orphan);
        // `{ token, abc }`
        orphan = below && (value === null || (!shown && isScalar(value) && value.source === ''));
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
      // `{ token: ${NAME} }` without quotes.
      if (source === '$') return;
      spans.push({ start: withProperties(text, start), end });
      const target = isAlias(node) ? anchors.get(node.source) : undefined;
      // Each target is visited once: nested aliases can expand to very many nodes.
      if (target === undefined || hidden.has(target)) return;
      hidden.add(target);
      walk(target, path, true);
    }
  };
  walk(contents, [], shown !== undefined);
  return spans;
}

/** What follows the first word of a command line. */
function argumentsIn([start, end]: readonly [number, number, ...unknown[]], text: string): SecretSpan[] {
  const program = /^["']?\S+\s/.exec(text.slice(start, end))?.[0];
  return program === undefined ? [] : [{ start: start + program.length, end }];
}

/** YAML 1.2 6.9: a tag or an anchor precedes its node, and a value that begins with `!` is read as a tag. */
function withProperties(text: string, start: number): number {
  const before = text.slice(text.lastIndexOf('\n', start - 1) + 1, start);
  return start - (/(?:[!&][^\s,[\]{}!&]*[ \t]*)+$/.exec(before)?.[0].length ?? 0);
}

/** Whether a value is secret because of the keys above it. */
function isSecretPlace(path: readonly string[]): boolean {
  const [above, key] = [path.at(-2), path.at(-1)];
  // A webhook's URL without its scheme.
  if (path[0] === 'health' && (key === 'notify' || above === 'notify')) return true;
  // `keys: { second: "..." }`, `keys: ["..."]` and `status: "..."`, in place of a map.
  return above === 'keys' || (above === 'transfer' && key === 'keys') || (key === 'status' && path.length === 1);
}

/** Replaces the secrets in a line that starts at offset `start` by asterisks. Columns stay the same. */
export function hideSecrets(line: string, start: number, spans: readonly SecretSpan[]): string {
  let shown = line;
  for (const span of spans) {
    const [from, to] = [Math.max(0, span.start - start), Math.min(line.length, span.end - start)];
    if (from < to) shown = hide(shown, from, to, span.signs === true ? SIGNS : SHOWN);
  }
  // A value that is commented out may still be a secret.
  return shown.includes('#') ? shown.replace(/(?:^|\s)#.*$/, hideInComment) : shown;
}

/** Hides the text after the first word of a comment that may be the key of a secret. */
function hideInComment(comment: string): string {
  const key = KEY_IN_TEXT.exec(comment);
  return key ? hide(comment, key.index + key[0].length, comment.length, SIGNS) : comment;
}

/**
 * For a file that is not YAML, where a secret may not be the value of its key: hides the text after each word that may
 * be the key of a secret, on its line and on the following lines with more indentation.
 */
export function secretsInText(text: string, lines: readonly number[], shown?: ShownWords): SecretSpan[] {
  // A file of secrets, without its structure.
  if (shown) return [{ start: 0, end: text.length, signs: true }];
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

const IN_QUERY = new RegExp(String.raw`(${QUERY_NAME})[^&;#\s"']+`, 'gi');
const IN_LOGIN = new RegExp(LOGIN, 'g');
const IN_TSIG = new RegExp(String.raw`(${TSIG_KEY})[^\s"',}\]]+`, 'gi');
const SEEDS = new RegExp(NKEY_SEED, 'g');

/** Removes anything that looks like a secret from the text of a message. */
export function hideShapes(text: string): string {
  return text.replace(IN_QUERY, '$1***').replace(IN_LOGIN, '***@').replace(IN_TSIG, '$1***').replace(SEEDS, '***');
}

/** Hides a quotation of the file in a message. */
export function hideInMessage(message: string, quoted: string): string {
  return quoted.trim() === '' ? message : message.replaceAll(quoted, '***');
}
