/**
 * One object on its way here. When the answer breaks off, the rest is asked for, of the same version only (Range with
 * If-Range): if it was replaced meanwhile, the new version comes whole. The same goes for what an earlier command left.
 * Nothing is finished unless the digest of the whole is the announced one.
 *
 *   ask --206, same version--> go on        --whole, digest right--> finish
 *       `--200, other version-> begin again --broke off------------> ask for the rest, a few times without progress
 *                                           `-digest wrong---------> once more from the start if parts were older; else fail
 */
import { createHash, type Hash } from 'node:crypto';
import type { Clock } from '../ports/clock.ts';
import type { HttpDownload } from '../ports/http-client.ts';
import type { OpenFile } from '../ports/local-files.ts';
import { sleep } from './command-context.ts';
import { CommandFailure, EXIT, messageOf } from './exit-code.ts';
import { NodeRefusal, type NodeClient } from './node-client.ts';
import { printable } from './progress-bar.ts';

/** Where the bytes go. Methods reject with a CommandFailure. */
export interface DownloadSink {
  /** What an earlier attempt left, and the ETag it is of. */
  resume(): Promise<{ readonly etag: string; readonly kept: OpenFile } | null>;
  /** The bytes of this version follow from the start. */
  begin(etag: string): Promise<void>;
  append(bytes: Buffer): Promise<void>;
  finish(): Promise<void>;
  /** It ends without the whole. */
  fail(how: 'keep' | 'drop'): Promise<void>;
}

export interface Downloaded {
  readonly size: number;
  readonly sha256: string;
  readonly etag: string | null;
}

export interface DownloadDeps {
  readonly client: NodeClient;
  readonly clock: Clock;
  /** Bytes of the whole, each time they become known. */
  readonly onTotal: (bytes: number) => void;
  /** Bytes that came, or, below 0, that have to come again. */
  readonly onBytes: (bytes: number) => void;
}

/** Attempts in a row that bring nothing. */
const ATTEMPTS_MAX = 3;
const RETRY_DELAY_MS = 1000;

export class Download {
  readonly #deps: DownloadDeps;
  readonly #name: string;
  readonly #sink: DownloadSink;
  #etag = '';
  #at = 0;
  #hash: Hash = createHash('sha256');
  /** Bytes that an earlier command left are among these. */
  #isResumed = false;

  constructor(deps: DownloadDeps, name: string, sink: DownloadSink) {
    this.#deps = deps;
    this.#name = name;
    this.#sink = sink;
  }

  async run(): Promise<Downloaded> {
    try {
      await this.#resume();
      for (let attempt = 1; ; attempt++) {
        const before = this.#at;
        const outcome = await this.#attempt();
        if (outcome === 'done') break;
        if (this.#at > before) attempt = 0;
        if (outcome !== 'again' && attempt >= ATTEMPTS_MAX) throw outcome;
        if (outcome !== 'again') await sleep(this.#deps.clock, RETRY_DELAY_MS);
      }
      await this.#sink.finish();
    } catch (error) {
      await this.#sink.fail(error instanceof DamagedDownload || this.#etag === '' ? 'drop' : 'keep');
      throw error;
    }
    return { size: this.#at, sha256: this.#hash.digest('hex'), etag: this.#etag === '' ? null : this.#etag };
  }

  async #resume(): Promise<void> {
    const earlier = await this.#sink.resume();
    if (earlier === null) return;
    const { etag, kept } = earlier;
    try {
      for (let bytes = await kept.next(); bytes !== null; bytes = await kept.next()) this.#count(bytes);
    } finally {
      await kept.close();
    }
    this.#etag = etag;
    this.#isResumed = this.#at > 0;
  }

  /** One answer; a failure that another attempt may get over is returned. */
  async #attempt(): Promise<'done' | 'again' | CommandFailure> {
    let response: HttpDownload;
    try {
      response = await this.#deps.client.get(this.#name, this.#at === 0 ? {} : { 'range': `bytes=${this.#at}-`, 'if-range': this.#etag });
    } catch (error) {
      if (error instanceof NodeRefusal && error.status === 416 && this.#at > 0) return this.#startOver();
      if (error instanceof NodeRefusal ? error.isRetryable : error instanceof CommandFailure && this.#at > 0) return error as CommandFailure;
      throw error;
    }
    const etag = response.headers.get('etag') ?? '';
    const isRest = response.status === 206 && etag === this.#etag && response.headers.get('content-range')?.startsWith(`bytes ${this.#at}-`) === true;
    if (!isRest) {
      if (response.status === 206) {
        response.body.cancel();
        if (this.#at > 0) return this.#startOver();
        throw new CommandFailure(EXIT.ERROR, `${printable(this.#name)}: a part came that was not asked for`);
      }
      if (this.#at > 0) this.#startOver();
      this.#etag = etag;
      await this.#sink.begin(etag);
    }
    this.#deps.onTotal(this.#at + Number(response.headers.get('content-length') ?? 0));
    const broke = await this.#receive(response);
    if (broke !== null) return broke;
    const digest = /sha-256=:([^:]+):/.exec(response.headers.get('repr-digest') ?? '')?.[1];
    const actual = this.#hash.copy().digest('base64');
    if (digest === undefined || digest === actual) return 'done';
    if (this.#isResumed) return this.#startOver();
    throw new DamagedDownload(EXIT.ERROR, `${printable(this.#name)} arrived damaged: its digest is ${actual}, announced was ${digest}`);
  }

  async #receive({ body }: HttpDownload): Promise<CommandFailure | null> {
    for (;;) {
      let bytes: Buffer | null;
      try {
        bytes = await body.next();
      } catch (error) {
        return new CommandFailure(EXIT.UNAVAILABLE, messageOf(error));
      }
      if (bytes === null) return null;
      try {
        await this.#sink.append(bytes);
      } catch (error) {
        body.cancel();
        throw error;
      }
      this.#count(bytes);
    }
  }

  #count(bytes: Buffer): void {
    this.#hash.update(bytes);
    this.#at += bytes.length;
    this.#deps.onBytes(bytes.length);
  }

  #startOver(): 'again' {
    this.#deps.onBytes(-this.#at);
    this.#at = 0;
    this.#etag = '';
    this.#hash = createHash('sha256');
    this.#isResumed = false;
    return 'again';
  }
}

/** What came isn't what was sent: of no use for a later attempt either. */
class DamagedDownload extends CommandFailure {}
