/**
 * One client of the ring over HTTP: one operation at a time, through a node of its choice, each recorded with what the
 * answer allows to conclude. Some writes are tried again under one Idempotency-Key after an answer that isn't final, as
 * the command line does it; they are one operation, from the first call to the last answer.
 *
 * After a try whose outcome is unknown a later refusal proves nothing (the first try may still be on its way), so the
 * operation stays unknown; a later success is the one application (history-check.ts says until when). A connection that couldn't be opened had no effect;
 * one that broke is unknown for a write and nothing for a read.
 *
 * A body is its value's text, repeated up to the wanted length: whoever reads it knows whose it is, and sees when two
 * are mixed.
 */
import type { OutgoingHttpHeaders } from 'node:http';
import type { ModelCondition } from '../../src/sim/checkers/object-model.ts';
import { between, chance, pick, type SimRandom } from '../../src/sim/sim-random.ts';
import { Agents, requestTo } from '../support/http-or-https.ts';
import type { HistoryRecorder } from './history-file.ts';

export interface Entry {
  readonly name: string;
  readonly objectUrl: (key: string) => string;
}

export interface ClientDeps {
  readonly history: HistoryRecorder;
  /** Nodes that a client may ask, those that are down too. */
  readonly entries: () => readonly Entry[];
  /** What a body held that no put of this run wrote, or that is a mixture. */
  readonly corrupt: (what: string) => void;
  readonly answered: (what: 'ok' | 'fail' | 'unknown', key: string) => void;
  /** Milliseconds that a client waits for the next byte; without it longer than a node's own deadline for a small operation. */
  readonly silenceMs?: number;
}

interface Known {
  readonly etag: string;
  readonly value: string;
}

interface Answer {
  readonly status: number;
  readonly etag: string | null;
  readonly body: Buffer;
}

type Attempt = { readonly kind: 'answer'; readonly answer: Answer } | { readonly kind: 'not-sent' | 'broken'; readonly why: string };

/** Longer than a node's own deadline for a small operation. */
const SILENCE_MS = 32_000;
/** Milliseconds for some clients, that have less patience than the node. */
const IMPATIENT_MS = 1_500;
const LARGE_BYTES_MAX = 700_000;
const INLINE_BYTES_MAX = 131_072;
const LARGE_SHARE = 0.06;
const TRIES_MAX = 4;

export function bodyOf(value: string, bytes: number): Buffer {
  const text = `${value}\n`;
  return Buffer.from(text.repeat(Math.max(1, Math.ceil(bytes / text.length))).slice(0, Math.max(text.length, bytes)));
}

/** The value that a body is made of; null: it is no such body. */
export function valueOf(body: Buffer): string | null {
  const end = body.indexOf(0x0a);
  const value = end < 0 ? null : body.toString('utf8', 0, end);
  return value !== null && body.equals(bodyOf(value, body.length)) ? value : null;
}

/** What any client last saw under a key: conditional writes are based on it. */
export class KnownVersions {
  readonly #known = new Map<string, Known>();

  get(key: string): Known | undefined {
    return this.#known.get(key);
  }

  saw(key: string, known: Known | null): void {
    if (known === null) this.#known.delete(key);
    else this.#known.set(key, known);
  }
}

export class RegisterClient {
  readonly #name: string;
  readonly #deps: ClientDeps;
  readonly #random: SimRandom;
  readonly #known: KnownVersions;
  readonly #agents = new Agents({ keepAlive: true, maxSockets: 4 });
  #puts = 0;

  constructor(name: string, deps: ClientDeps, random: SimRandom, known: KnownVersions) {
    this.#name = name;
    this.#deps = deps;
    this.#random = random;
    this.#known = known;
  }

  close(): void {
    this.#agents.destroy();
  }

  /** One operation of any kind on the key. */
  async operate(key: string): Promise<void> {
    const draw = this.#random.float();
    if (draw < 0.45) await this.get(key, pick(this.#random, this.#deps.entries()));
    else if (draw < 0.88) await this.put(key, this.#condition(key, true));
    else await this.remove(key, this.#condition(key, false));
  }

  async get(key: string, entry: Entry): Promise<'ok' | 'fail'> {
    const { history } = this.#deps;
    const op = history.invoke(this.#name, key, { f: 'get' });
    const attempt = await this.#send(entry, key, 'GET', {}, null);
    if (attempt.kind === 'answer' && (attempt.answer.status === 200 || attempt.answer.status === 404)) {
      const { status, body, etag } = attempt.answer;
      const value = status === 404 ? null : valueOf(body);
      if (status === 200 && value === null) this.#deps.corrupt(`${this.#name} read ${body.length} bytes under "${key}" through ${entry.name} that nobody wrote: ${body.toString('latin1', 0, 60)}...`);
      history.ok(op, { kind: 'value', value });
      this.#deps.answered('ok', key);
      this.#known.saw(key, value === null || etag === null ? null : { value, etag });
      return 'ok';
    }
    history.fail(op, reasonOf(attempt));
    this.#deps.answered('fail', key);
    return 'fail';
  }

  /** A value of its own under the key; true when it is acknowledged. */
  async put(key: string, condition: ModelCondition): Promise<boolean> {
    const value = `${this.#name}.${this.#puts++}`;
    const isLarge = chance(this.#random, LARGE_SHARE);
    const body = bodyOf(value, isLarge ? Math.floor(between(this.#random, INLINE_BYTES_MAX - 500, LARGE_BYTES_MAX)) : this.#random.below(300));
    const op = this.#deps.history.invoke(this.#name, key, { f: 'put', value, condition }, body.length);
    const end = await this.#write(op, key, 'PUT', condition, body);
    if (end === null) return false;
    const { answer, isRetried } = end;
    this.#deps.history.ok(op, { kind: 'stored', isCreated: answer.status === 201 }, isRetried);
    this.#deps.answered('ok', key);
    if (answer.etag !== null) this.#known.saw(key, { value, etag: answer.etag });
    return true;
  }

  async remove(key: string, condition: ModelCondition): Promise<void> {
    const op = this.#deps.history.invoke(this.#name, key, { f: 'delete', condition });
    const end = await this.#write(op, key, 'DELETE', condition, null);
    if (end === null) return;
    this.#deps.history.ok(op, { kind: 'deleted' }, end.isRetried);
    this.#deps.answered('ok', key);
  }

  /** Sends a write until its outcome is known or patience ends; null: it is recorded already. */
  async #write(op: number, key: string, method: 'PUT' | 'DELETE', condition: ModelCondition, body: Buffer | null): Promise<{ readonly answer: Answer; readonly isRetried: boolean } | null> {
    const { history, entries, answered } = this.#deps;
    const isRetried = chance(this.#random, 0.5);
    const headers: OutgoingHttpHeaders = { ...this.#conditionHeaders(key, condition), ...(isRetried && { 'idempotency-key': this.#random.hex(16) }) };
    let isUnknown = false;
    let why = '';
    for (let i = 0; i < (isRetried ? TRIES_MAX : 1); i++) {
      const attempt = await this.#send(pick(this.#random, entries()), key, method, headers, body);
      why = reasonOf(attempt);
      if (attempt.kind === 'answer') {
        const { answer } = attempt;
        if (answer.status === 200 || answer.status === 201 || answer.status === 204) return { answer, isRetried: isUnknown };
        if (answer.status < 500 && answer.status !== 412) throw new Error(`${method} of "${key}": ${why}`);
        if (answer.status === 412 && !isUnknown) {
          history.ok(op, { kind: 'precondition-failed' });
          answered('ok', key);
          return null;
        }
        if (answer.status === 412) break;
        if (outcomeOf(answer) !== 'not-applied') isUnknown = true;
      }
      if (attempt.kind === 'broken') isUnknown = true;
      await new Promise((resolve) => { setTimeout(resolve, between(this.#random, 5, 200)); });
    }
    if (isUnknown) history.unknown(op, why);
    else history.fail(op, why);
    answered(isUnknown ? 'unknown' : 'fail', key);
    return null;
  }

  /** Drawn so that conditions hold often enough to matter. */
  #condition(key: string, mayBeAbsent: boolean): ModelCondition {
    const draw = this.#random.float();
    const known = this.#known.get(key);
    if (draw < 0.35 && known !== undefined) return { kind: 'tag', tag: known.value };
    if (draw < 0.5 && mayBeAbsent) return { kind: 'absent' };
    if (draw < 0.55) return { kind: 'present' };
    return { kind: 'none' };
  }

  #conditionHeaders(key: string, condition: ModelCondition): OutgoingHttpHeaders {
    switch (condition.kind) {
      case 'none': return {};
      case 'absent': return { 'if-none-match': '*' };
      case 'present': return { 'if-match': '*' };
      case 'tag': return { 'if-match': this.#known.get(key)?.etag ?? '""' };
    }
  }

  #send(entry: Entry, key: string, method: string, headers: OutgoingHttpHeaders, body: Buffer | null): Promise<Attempt> {
    const silenceMs = chance(this.#random, 0.1) ? IMPATIENT_MS : (this.#deps.silenceMs ?? SILENCE_MS);
    return new Promise((resolve) => {
      let isConnected = false;
      const url = entry.objectUrl(key);
      const call = requestTo(url, { method, agent: this.#agents.of(url), headers: body === null ? headers : { ...headers, 'content-length': body.length } });
      const failed = (error: Error): void => { resolve({ kind: isConnected ? 'broken' : 'not-sent', why: error.message }); };
      call.setTimeout(silenceMs, () => { call.destroy(new Error(`silent for ${silenceMs} ms`)); });
      call.once('socket', (socket) => {
        if (!socket.connecting) {
          isConnected = true;
          return;
        }
        // The request's own time-out begins only once it is connected, and a machine that is gone never refuses.
        const connecting = setTimeout(() => { call.destroy(new Error(`no connection in ${silenceMs} ms`)); }, silenceMs);
        socket.once('close', () => { clearTimeout(connecting); });
        socket.once('connect', () => {
          clearTimeout(connecting);
          isConnected = true;
        });
      });
      call.on('error', failed);
      call.once('response', (response) => {
        const pieces: Buffer[] = [];
        response.on('data', (piece: Buffer) => pieces.push(piece));
        response.on('error', failed);
        response.once('end', () => {
          if (response.complete) resolve({ kind: 'answer', answer: { status: response.statusCode ?? 0, etag: response.headers.etag ?? null, body: Buffer.concat(pieces) } });
          else failed(new Error('the answer broke off'));
        });
      });
      call.end(body ?? undefined);
    });
  }
}

/** What a problem says became of the write. */
function outcomeOf({ body }: Answer): string | null {
  try {
    const problem: unknown = JSON.parse(body.toString('utf8'));
    return typeof problem === 'object' && problem !== null && 'outcome' in problem ? String(problem.outcome) : null;
  } catch {
    return null;
  }
}

function reasonOf(attempt: Attempt): string {
  return attempt.kind === 'answer' ? `${attempt.answer.status} ${attempt.answer.body.toString('utf8', 0, 200)}` : `${attempt.kind}: ${attempt.why}`;
}
