/** Doors of a command that only remember what came through them. */
import type { CommandDeps } from '../../../src/cli/command-context.ts';
import type { MonotonicMs, WallMs } from '../../../src/domain/instant.ts';
import type { ChildEnd, ChildProcessOptions } from '../../../src/ports/child-processes.ts';
import type { HttpClient, HttpRequest, HttpResponse } from '../../../src/ports/http-client.ts';
import { NodeRandom } from '../../../src/runtime/node-random.ts';

export interface FakeChild {
  readonly options: ChildProcessOptions;
  readonly signals: string[];
  end(how: ChildEnd): void;
}

export class FakeDoors {
  printed = '';
  noted = '';
  readonly stored = new Map<string, Buffer>();
  readonly saved = new Map<string, Buffer>();
  readonly requests: HttpRequest[] = [];
  readonly children: FakeChild[] = [];
  isInteractive = false;
  stop: () => void = () => undefined;
  /** What the next requests are answered; the last one stays. An Error is thrown. */
  answers: (HttpResponse | Error)[] = [];

  readonly http: HttpClient = {
    send: (request) => {
      this.requests.push(request);
      const answer = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
      if (answer === undefined || answer instanceof Error) return Promise.reject(answer ?? new Error('no answer prepared'));
      return Promise.resolve(answer);
    },
  };

  deps(http: HttpClient = this.http): CommandDeps {
    let nowMs = 0;
    return {
      http,
      terminal: {
        print: (content) => void (this.printed += Buffer.from(content).toString()),
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
        save: (path, bytes) => Promise.resolve(void this.saved.set(path, Buffer.from(bytes))),
        saveBelow: (segments, bytes) => Promise.resolve(segments.join('/')).then((path) => (this.saved.set(path, Buffer.from(bytes)), path)),
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
      adminToken: (secret) => `token-of-${secret}`,
    };
  }
}

export function jsonResponse(status: number, value: unknown, headers: Record<string, string> = {}): HttpResponse {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(JSON.stringify(value)) };
}
