/**
 * Requests of a command to a node. Problems become failures with an exit code; what a node calls retryable is tried a
 * few times, writes always under one idempotency key, so that a retry can't apply twice.
 */
import type { Receipt } from '../domain/object-operation.ts';
import type { HttpDownload, HttpRequest, HttpResponse } from '../ports/http-client.ts';
import type { OpenFile } from '../ports/local-files.ts';
import { sleep, type CommandContext } from './command-context.ts';
import { CommandFailure, EXIT, messageOf, usageFailure, type ExitCode } from './exit-code.ts';

const GATEWAY_DEFAULT = 'http://localhost:8080';
const ADMIN_DEFAULT = 'http://localhost:9464';
const ATTEMPTS_MAX = 3;
const RETRY_DELAY_MS = 1000;
/** Milliseconds without a byte: above the deadline of any operation (30 s). */
const IDLE_TIMEOUT_MS = 45_000;
/** The same for an upload: the replicas make a large body durable before they answer. */
const UPLOAD_IDLE_TIMEOUT_MS = 120_000;
/** Bytes of a problem. */
const PROBLEM_BYTES_MAX = 64 * 1024;
const SECRET_BYTES_MAX = 4096;

interface ProblemJson {
  readonly code?: string;
  readonly detail?: string;
  readonly title?: string;
  readonly retryable?: boolean;
  readonly outcome?: string;
  readonly requestId?: string;
}

/** One page of a listing, as a node sends it. */
export interface ListPageJson {
  readonly objects: readonly { readonly name: string; readonly size: number; readonly etag: string; readonly modified: string }[];
  readonly commonPrefixes: readonly string[];
  readonly cursor?: string;
}

export class NodeClient {
  readonly #context: CommandContext;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** The gateway's URL of an object. */
  objectUrl(name: string): string {
    return `${this.#gateway()}/v1/objects/${encodeName(name)}`;
  }

  /** Stores a file; `open` is called for each attempt, `onBytes` with what moved, below 0 when it has to move again. */
  async put(name: string, open: () => Promise<OpenFile>, onBytes: (bytes: number) => void): Promise<Receipt> {
    const headers = { ...this.#authorization(), 'idempotency-key': this.#context.deps.random.hex(16) };
    const response = await this.#retrying(async () => {
      const file = await open();
      let moved = 0;
      let failure: CommandFailure | null = null;
      const next = async (): Promise<Buffer | null> => {
        try {
          const bytes = await file.next();
          moved += bytes?.length ?? 0;
          onBytes(bytes?.length ?? 0);
          return bytes;
        } catch (error) {
          failure = new CommandFailure(EXIT.ERROR, messageOf(error));
          throw failure;
        }
      };
      try {
        const request = { method: 'PUT', url: this.objectUrl(name), headers, source: { next }, size: file.size, idleTimeoutMs: UPLOAD_IDLE_TIMEOUT_MS } as const;
        return await this.#answer(request, () => this.#context.deps.http.upload(request), refusalOf);
      } catch (error) {
        onBytes(-moved);
        throw failure ?? error;
      } finally {
        await file.close();
      }
    });
    return parseJson<Receipt>(response);
  }

  /** Begins to read an object; tried once. */
  async get(name: string, headers: Readonly<Record<string, string>>): Promise<HttpDownload> {
    const request = { method: 'GET', url: this.objectUrl(name), headers: { ...this.#authorization(), ...headers }, body: null, idleTimeoutMs: IDLE_TIMEOUT_MS } as const;
    return await this.#answer(request, () => this.#context.deps.http.download(request), async (response) => refusalOf({ ...response, body: await collect(response) }));
  }

  async remove(name: string): Promise<void> {
    const headers = { ...this.#authorization(), 'idempotency-key': this.#context.deps.random.hex(16) };
    await this.#send({ method: 'DELETE', url: this.objectUrl(name), headers, body: null, idleTimeoutMs: IDLE_TIMEOUT_MS });
  }

  /** All pages of a listing, one after the other. */
  async *list(prefix: string, delimiter: string | null): AsyncGenerator<ListPageJson> {
    for (let cursor: string | undefined = ''; cursor !== undefined;) {
      const query = [['prefix', prefix], ['delimiter', delimiter ?? ''], ['cursor', cursor]]
        .filter(([, value]) => value !== '').map(([key, value]) => `${key}=${encodeURIComponent((value ?? '').toWellFormed())}`).join('&');
      const url = `${this.#gateway()}/v1/objects${query === '' ? '' : `?${query}`}`;
      const page: ListPageJson = parseJson<ListPageJson>(await this.#send({ method: 'GET', url, headers: this.#authorization(), body: null, idleTimeoutMs: IDLE_TIMEOUT_MS }));
      yield page;
      cursor = page.cursor;
    }
  }

  /** GET on the admin port. */
  async read<T>(path: string): Promise<T> {
    return parseJson<T>(await this.#send({ method: 'GET', url: this.#adminUrl(path), headers: {}, body: null, idleTimeoutMs: IDLE_TIMEOUT_MS }));
  }

  /** POST on the admin port, with the admin token when a cluster secret is at hand. */
  async command<T>(path: string, value: unknown): Promise<T> {
    const secret = await this.#clusterSecret();
    const headers = { 'content-type': 'application/json', ...(secret !== null && { authorization: `Bearer ${this.#context.deps.adminToken(secret)}` }) };
    const request = { method: 'POST', url: this.#adminUrl(path), headers, body: Buffer.from(JSON.stringify(value)), idleTimeoutMs: IDLE_TIMEOUT_MS } as const;
    return parseJson<T>(await this.#answer(request, () => this.#context.deps.http.send(request), refusalOf));
  }

  #authorization(): Readonly<Record<string, string>> {
    const token = gatewayToken(this.#context);
    return token === null ? {} : { authorization: `Bearer ${token}` };
  }

  #gateway(): string {
    return this.#base('url', 'DHT_URL', GATEWAY_DEFAULT);
  }

  #adminUrl(path: string): string {
    return this.#base('admin-url', 'DHT_ADMIN_URL', ADMIN_DEFAULT) + path;
  }

  #base(flag: string, variable: string, fallback: string): string {
    const { args, options } = this.#context;
    const fromEnvironment = options.environment[variable] ?? '';
    const url = args.value(flag) ?? (fromEnvironment === '' ? fallback : fromEnvironment);
    return baseUrl(url, args.value(flag) === null ? variable : `--${flag}`);
  }

  async #clusterSecret(): Promise<string | null> {
    const { args, options, deps } = this.#context;
    const file = args.value('cluster-secret-file') ?? options.environment['DHT_CLUSTER_SECRET_FILE'] ?? '';
    if (file !== '') return (await deps.files.read(file, SECRET_BYTES_MAX)).toString('utf8');
    const secret = options.environment['DHT_CLUSTER_SECRET'] ?? '';
    return secret === '' ? null : secret;
  }

  #send(request: HttpRequest): Promise<HttpResponse> {
    return this.#retrying(() => this.#answer(request, () => this.#context.deps.http.send(request), refusalOf));
  }

  async #retrying<T>(attempt: () => Promise<T>): Promise<T> {
    for (let count = 1; ; count++) {
      try {
        return await attempt();
      } catch (error) {
        const mayRetry = error instanceof NodeRefusal && error.isRetryable && count < ATTEMPTS_MAX;
        if (!mayRetry) throw error;
        await sleep(this.#context.deps.clock, RETRY_DELAY_MS);
      }
    }
  }

  /** The answer when it is a success; no answer, or a refusal, is a failure. */
  async #answer<T extends { readonly status: number }>({ method }: Pick<HttpRequest, 'method'>, send: () => Promise<T>, refusal: (answer: T) => Promise<NodeRefusal> | NodeRefusal): Promise<T> {
    let answer: T;
    try {
      answer = await send();
    } catch (error) {
      const message = messageOf(error);
      // A refused connection changed nothing; one that broke later may have.
      const isUnknown = method !== 'GET' && !/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|no http URL/.test(message);
      throw new CommandFailure(isUnknown ? EXIT.UNKNOWN : EXIT.UNAVAILABLE, isUnknown ? `${message}; it may or may not have been applied` : message);
    }
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw await refusal(answer);
  }
}

/** All gateways that were named: each --url, or DHT_URL with commas between. */
export function gatewayUrls({ args, options }: CommandContext): readonly string[] {
  const given = args.values('url');
  const fromEnvironment = (options.environment['DHT_URL'] ?? '').split(',').map((url) => url.trim()).filter((url) => url !== '');
  const urls = given.length > 0 ? given : fromEnvironment.length > 0 ? fromEnvironment : [GATEWAY_DEFAULT];
  return urls.map((url) => baseUrl(url, given.length > 0 ? '--url' : 'DHT_URL'));
}

/** Null: requests go without one. */
export function gatewayToken({ args, options }: CommandContext): string | null {
  const token = args.value('token') ?? options.environment['DHT_TOKEN'] ?? '';
  return token === '' ? null : token;
}

function baseUrl(url: string, from: string): string {
  if (!/^https?:\/\/[^/?#\s]+\/?$/.test(url)) throw usageFailure(`${from} is "${url}": allowed is http://HOST:PORT or https://HOST:PORT`);
  return url.replace(/\/$/, '');
}

/** A problem's bytes; what breaks off or never ends is cut. */
async function collect({ body }: HttpDownload): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  try {
    for (let piece = await body.next(); piece !== null && bytes < PROBLEM_BYTES_MAX; piece = await body.next()) {
      pieces.push(piece);
      bytes += piece.length;
    }
  } catch {
    // The status is enough.
  }
  body.cancel();
  return Buffer.concat(pieces);
}

/** A node's no. */
export class NodeRefusal extends CommandFailure {
  readonly status: number;
  readonly isRetryable: boolean;

  constructor(exitCode: ExitCode, message: string, code: string | null, status: number, isRetryable: boolean) {
    super(exitCode, message, code);
    this.status = status;
    this.isRetryable = isRetryable;
  }
}

function refusalOf(response: HttpResponse): NodeRefusal {
  let problem: ProblemJson = {};
  try {
    problem = JSON.parse(response.body.toString('utf8')) as ProblemJson;
  } catch {
    // Something else than a node answered; its status is all there is.
  }
  const what = [problem.title, problem.detail].filter((part) => part !== undefined).join(': ');
  const message = `${what === '' ? `HTTP status ${response.status}` : what}${problem.code === undefined ? '' : ` (${problem.code}, request ${problem.requestId ?? '?'})`}`;
  return new NodeRefusal(exitCodeOf(response.status, problem.outcome), message, problem.code ?? null, response.status, problem.retryable === true);
}

function exitCodeOf(status: number, outcome: string | undefined): ExitCode {
  if (outcome === 'unknown') return EXIT.UNKNOWN;
  if (status === 404) return EXIT.ABSENT;
  if (status === 409 || status === 412) return EXIT.CONFLICT;
  if (status === 503) return EXIT.UNAVAILABLE;
  return EXIT.ERROR;
}

function parseJson<T>(response: HttpResponse): T {
  try {
    return JSON.parse(response.body.toString('utf8')) as T;
  } catch {
    throw new CommandFailure(EXIT.ERROR, 'the answer is not JSON: is this the port of a dht node?');
  }
}

/** Percent-encoded once, with slashes as they are. */
export function encodeName(name: string): string {
  return encodeURIComponent(name.toWellFormed()).replaceAll('%2F', '/');
}
