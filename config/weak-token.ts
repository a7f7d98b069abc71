/** Whether a token is easy to guess. */

/**
 * Whether some thousand tries may find the token: it is shorter than 16 characters, has few different characters, or
 * has little beside a common word.
 */
export function isWeakToken(token: string): boolean {
  const rest = token.toLowerCase().replace(COMMON_WORDS, '');
  return token.length < 16 || new Set(token).size < 8 || rest.length < 8;
}

const COMMON_WORDS =
  /secret|s3cret|token|passw(?:or)?d|pharos|admin|changeme|change-me|example|default|test|root|qwerty|letmein|0?123456789?0?/g;
