/** Doors of a command that only remember what came through them. */
import type { CommandDeps } from '../../../src/cli/command-context.ts';
import type { MonotonicMs, WallMs } from '../../../src/domain/instant.ts';
import type { ChildEnd, ChildProcessOptions } from '../../../src/ports/child-processes.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../../../src/ports/http-client.ts';
import type { FilePlace, FoundFile, OpenFile, PartFile, SkippedFile } from '../../../src/ports/local-files.ts';
import { SIM_METER } from '../../../src/sim/sim-meter.ts';
import { NodeRandom } from '../../../src/runtime/node-random.ts';

export interface FakeChild {
  readonly options: ChildProcessOptions;
  readonly signals: string[];
  end(how: ChildEnd): void;
}

/** An answer; a body that breaks off after some bytes. */
export type FakeAnswer = HttpResponse & { readonly breaksAfter?: number };

/** Bytes of a piece of a body. */
const PIECE_BYTES = 256 * 1024;

export class FakeDoors {
  printed = '';
  noted = '';
  readonly stored = new Map<string, Buffer>();
  readonly saved = new Map<string, Buffer>();
  /** Unfinished files: path and tag. */
  readonly parts = new Map<string, Buffer>();
  readonly requests: HttpRequest[] = [];
  readonly children: FakeChild[] = [];
  /** Where numbers are published now. */
  readonly published: { readonly host: string; readonly port: number }[] = [];
  isInteractive = false;
  stop: () => void = () => undefined;
  /** What the next requests are answered; the last one stays. An Error is thrown. */
  answers: (FakeAnswer | Error)[] = [];
  /** Instead of `answers`. */
  answer: ((request: HttpRequest) => FakeAnswer | Error) | null = null;

  readonly http: HttpClient = {
    send: async (request) => await this.#answer(request),
    upload: async ({ source, size, ...head }) => {
      const pieces: Buffer[] = [];
      for (let piece = await source.next(); piece !== null; piece = await source.next()) pieces.push(piece);
      const body = Buffer.concat(pieces);
      return body.length === size ? await this.#answer({ ...head, body }) : await Promise.reject(new Error(`${body.length} of ${size} bytes`));
    },
    download: async (request) => {
      const { status, headers, body, breaksAfter } = await this.#answer(request);
      const end = breaksAfter ?? body.length;
      let at = 0;
      return {
        status,
        headers: new Map([['content-length', String(body.length)], ...headers]),
        body: {
          next: () => {
            const piece = body.subarray(at, Math.min(at + PIECE_BYTES, end));
            at += piece.length;
            if (piece.length > 0) return Promise.resolve(piece);
            return breaksAfter === undefined ? Promise.resolve(null) : Promise.reject(new Error('no answer from http://x (aborted)'));
          },
          cancel: () => undefined,
        },
      };
    },
  };

  #answer(request: HttpRequest): Promise<FakeAnswer> {
    this.requests.push(request);
    const answer = this.answer !== null ? this.answer(request) : this.answers.length > 1 ? this.answers.shift() : this.answers[0];
    return answer === undefined || answer instanceof Error ? Promise.reject(answer ?? new Error('no answer prepared')) : Promise.resolve(answer);
  }

  #place(path: string): FilePlace {
    const tagOf = (key: string): string | null => (key.startsWith(`${path} `) ? key.slice(path.length + 1) : null);
    return {
      path,
      unfinished: () => Promise.resolve([...this.parts.keys()].map(tagOf).find((tag) => tag !== null) ?? null),
      begin: (tag): Promise<PartFile> => {
        for (const key of this.parts.keys()) if (tagOf(key) !== null && tagOf(key) !== tag) this.parts.delete(key);
        const key = `${path} ${tag}`;
        let bytes = this.parts.get(key) ?? Buffer.alloc(0);
        const size = bytes.length;
        return Promise.resolve({
          size,
          kept: () => Promise.resolve(openFile(bytes)),
          append: (more) => {
            bytes = Buffer.concat([bytes, more]);
            this.parts.set(key, bytes);
            return Promise.resolve();
          },
          finish: () => {
            this.parts.delete(key);
            this.saved.set(path, bytes);
            return Promise.resolve();
          },
          abandon: (how) => Promise.resolve(how === 'drop' ? void this.parts.delete(key) : undefined),
        });
      },
    };
  }

  async *#walk(directory: string): AsyncGenerator<FoundFile | SkippedFile> {
    for (const [path, bytes] of this.stored) {
      if (!path.startsWith(`${directory}/`)) continue;
      if (bytes.toString() === 'pipe') yield { path, skipped: 'is no regular file' };
      else yield { path, segments: path.slice(directory.length + 1).split('/'), size: bytes.length };
    }
  }

  #open(path: string): Promise<OpenFile> {
    const bytes = this.stored.get(path);
    return bytes === undefined ? Promise.reject(new Error(`ENOENT: no such file or directory, open '${path}'`)) : Promise.resolve(openFile(bytes));
  }

  deps(http: HttpClient = this.http): CommandDeps {
    let nowMs = 0;
    return {
      http,
      terminal: {
        print: (content) => void (this.printed += content),
        pour: (bytes) => Promise.resolve(void (this.printed += Buffer.from(bytes).toString())),
        note: (text) => void (this.noted += text),
        isInteractive: this.isInteractive,
        columns: 100,
        onStop: (fn) => void (this.stop = fn),
      },
      files: {
        read: (path, bytesMax) => {
          const bytes = this.stored.get(path);
          if (bytes === undefined) return Promise.reject(new Error(`ENOENT: no such file or directory, open '${path}'`));
          return bytes.length > bytesMax ? Promise.reject(new Error(`${path} has ${bytes.length} bytes`)) : Promise.resolve(bytes);
        },
        open: (path) => this.#open(path),
        isDirectory: (path) => Promise.resolve([...this.stored.keys()].some((file) => file.startsWith(`${path}/`))),
        walk: (directory) => this.#walk(directory),
        place: (path) => Promise.resolve(this.#place(path)),
        placeBelow: (segments) => (segments.some((segment) => ['', '.', '..'].includes(segment)) ? Promise.reject(new Error(`"${segments.join('/')}" can't be a file name here`)) : Promise.resolve(this.#place(segments.join('/')))),
        makeDirectory: () => Promise.resolve(),
        createSecret: (path, text) => Promise.resolve(void this.saved.set(path, Buffer.from(text))),
      },
      processes: {
        start: (options) => {
          let end: (how: ChildEnd) => void = () => undefined;
          const ended = new Promise<ChildEnd>((resolve) => (end = resolve));
          const child: FakeChild = { options, signals: [], end };
          this.children.push(child);
          return { pid: 100 + this.children.length, ended, signal: (name) => void child.signals.push(name) };
        },
      },
      // Time passes as soon as someone waits for it.
      clock: {
        monotonicNow: () => nowMs as MonotonicMs,
        wallNow: () => nowMs as WallMs,
        after: (delayMs, fn) => {
          let isCancelled = false;
          setImmediate(() => {
            if (isCancelled) return;
            nowMs += delayMs;
            fn();
          });
          return { cancel: () => void (isCancelled = true) };
        },
      },
      random: new NodeRandom(),
      metricsServer: () => ({
        meter: SIM_METER,
        listen: (at) => {
          this.published.push(at);
          return Promise.resolve({ port: at.port, close: () => Promise.resolve(void this.published.pop()) });
        },
      }),
      adminToken: (secret) => `token-of-${secret}`,
    };
  }
}

function openFile(bytes: Buffer): OpenFile {
  let at = 0;
  return {
    size: bytes.length,
    next: () => {
      const piece = bytes.subarray(at, at + PIECE_BYTES);
      at += piece.length;
      return Promise.resolve(piece.length === 0 ? null : piece);
    },
    close: () => Promise.resolve(),
  };
}

export function jsonResponse(status: number, value: unknown, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(JSON.stringify(value)) };
}
