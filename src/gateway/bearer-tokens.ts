/**
 * The gateway's bearer tokens: who may use objects at all. A file has one `name:token` a line; a request shows a token, the
 * name stands for it in the log and the metrics, and the token itself is nowhere kept, only its digest.
 *
 * A name may have several tokens, so that a new one can be given out before the old one goes. Tokens are compared in a
 * time that tells nothing about them: all digests are looked at, each as a whole.
 * Source: [RFC 6750] "Authorization Request Header Field".
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { DhtError } from '../domain/error-catalogue.ts';
import type { Log } from '../ports/log.ts';
import type { Counter, Labels, Meter } from '../ports/meter.ts';
import type { Exchange } from './exchange.ts';

/** Characters of a token at least: of random letters and digits, 16 are 95 bits. */
const TOKEN_CHARACTERS_MIN = 16;
const TOKEN_CHARACTERS_MAX = 512;
/** Each request looks at all of them. */
const TOKENS_MAX = 1000;
const NAME = /^[A-Za-z0-9._-]{1,64}$/;
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/;
const AUTHORIZATION = /^Bearer +(\S+) *$/i;

export interface BearerToken {
  readonly name: string;
  /** SHA-256 of the token. */
  readonly digest: Buffer;
}

/** The tokens of a file. Throws DHT_ERR_SETTING_INVALID with the number of the wrong line, never with its text. */
export function parseBearerTokens(text: string): readonly BearerToken[] {
  const tokens = new Map<string, BearerToken>();
  text.split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === '') return;
    const refuse = (detail: string): never => { throw new DhtError('DHT_ERR_SETTING_INVALID', `the gateway tokens file, line ${i + 1}: ${detail}`); };
    const at = line.indexOf(':');
    const name = line.slice(0, Math.max(at, 0)).trim();
    const token = line.slice(at + 1).trim();
    if (!NAME.test(name)) refuse('a line is name:token, the name 1 to 64 letters, digits, dots, dashes and underscores');
    if (token.length < TOKEN_CHARACTERS_MIN || token.length > TOKEN_CHARACTERS_MAX) refuse(`the token of ${name} has ${token.length} characters, allowed are ${TOKEN_CHARACTERS_MIN} to ${TOKEN_CHARACTERS_MAX}`);
    if (!TOKEN.test(token)) refuse(`the token of ${name} has characters other than letters, digits and -._~+/ with = at the end`);
    const digest = digestOf(token);
    if (tokens.has(digest.toString('hex'))) refuse(`the token of ${name} is there twice`);
    tokens.set(digest.toString('hex'), { name, digest });
  });
  if (tokens.size === 0) throw new DhtError('DHT_ERR_SETTING_INVALID', 'the gateway tokens file has no token: nobody could use the gateway');
  if (tokens.size > TOKENS_MAX) throw new DhtError('DHT_ERR_SETTING_INVALID', `the gateway tokens file has ${tokens.size} tokens, at most ${TOKENS_MAX} are allowed`);
  return [...tokens.values()];
}

export interface TokenGateDeps {
  readonly log: Log;
  readonly meter: Meter;
}

/** Lets in requests that show one of the tokens. */
export class TokenGate {
  readonly #log: Log;
  readonly #tokens: () => readonly BearerToken[];
  readonly #admitted: Counter;
  readonly #labels: Map<string, Labels>;

  /** `tokens`: those of now; they may be replaced at any time. */
  constructor({ log, meter }: TokenGateDeps, tokens: () => readonly BearerToken[]) {
    this.#log = log;
    this.#tokens = tokens;
    this.#labels = new Map(tokens().map(({ name }) => [name, { token: name }]));
    this.#admitted = meter.counter({
      name: 'dht_gateway_token_requests_total', help: 'Requests let in, by the name of their token.', labelNames: ['token'], initial: [...this.#labels.values()],
    });
  }

  /** False: the request was answered with 401. */
  admits(exchange: Exchange): boolean {
    const { req, requestId } = exchange;
    const shown = AUTHORIZATION.exec(req.headers.authorization ?? '')?.[1];
    const name = shown === undefined ? null : this.#nameOf(shown);
    if (name === null) {
      this.#log.debug('An object request was refused', { requestId, method: req.method, reason: shown === undefined ? 'no bearer token' : 'unknown token', remote: req.socket.remoteAddress });
      exchange.metrics.rejected('unauthorized');
      exchange.refuse('DHT_ERR_UNAUTHORIZED', shown === undefined ? 'The request has no bearer token.' : 'The bearer token is not known here.');
      return false;
    }
    this.#log.debug('An object request was let in', { requestId, method: req.method, token: name });
    this.#admitted.add(1, this.#labelsOf(name));
    return true;
  }

  #labelsOf(name: string): Labels {
    let labels = this.#labels.get(name);
    if (labels === undefined) this.#labels.set(name, labels = { token: name });
    return labels;
  }

  #nameOf(token: string): string | null {
    const digest = digestOf(token);
    let found: string | null = null;
    for (const known of this.#tokens()) if (timingSafeEqual(known.digest, digest)) found = known.name;
    return found;
  }
}

function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}
