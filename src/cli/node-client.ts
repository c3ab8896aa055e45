/**
 * Requests of a command to a node. Problems become failures with an exit code; what a node calls retryable is tried a
 * few times, writes always under one idempotency key, so that a retry can't apply twice.
 */
import type { HttpRequest, HttpResponse } from '../ports/http-client.ts';
import { sleep, type CommandContext } from './command-context.ts';
import { CommandFailure, EXIT, usageFailure, type ExitCode } from './exit-code.ts';

const GATEWAY_DEFAULT = 'http://localhost:8080';
const ADMIN_DEFAULT = 'http://localhost:9464';
const ATTEMPTS_MAX = 3;
const RETRY_DELAY_MS = 1000;
/** Milliseconds without a byte: above the deadline of any operation (30 s). */
const IDLE_TIMEOUT_MS = 45_000;
const SECRET_BYTES_MAX = 4096;

interface ProblemJson {
  readonly code?: string;
  readonly detail?: string;
  readonly title?: string;
  readonly retryable?: boolean;
  readonly outcome?: string;
  readonly requestId?: string;
}

export class NodeClient {
  readonly #context: CommandContext;

  constructor(context: CommandContext) {
    this.#context = context;
  }

  /** The gateway's URL of an object. */
  objectUrl(name: string): string {
    return `${this.#base('url', 'DHT_URL', GATEWAY_DEFAULT)}/v1/objects/${encodeName(name)}`;
  }

  async object(method: 'GET' | 'PUT' | 'DELETE', name: string, body: Uint8Array | null): Promise<HttpResponse> {
    const { args, options, deps } = this.#context;
    const token = args.value('token') ?? options.environment['DHT_TOKEN'] ?? '';
    const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` };
    if (method !== 'GET') headers['idempotency-key'] = deps.random.hex(16);
    return await this.#send({ method, url: this.objectUrl(name), headers, body, idleTimeoutMs: IDLE_TIMEOUT_MS });
  }

  /** GET on the admin port. */
  async read<T>(path: string): Promise<T> {
    return parseJson<T>(await this.#send({ method: 'GET', url: this.#adminUrl(path), headers: {}, body: null, idleTimeoutMs: IDLE_TIMEOUT_MS }));
  }

  /** POST on the admin port, with the admin token when a cluster secret is at hand. */
  async command<T>(path: string, value: unknown): Promise<T> {
    const secret = await this.#clusterSecret();
    const headers = { 'content-type': 'application/json', ...(secret !== null && { authorization: `Bearer ${this.#context.deps.adminToken(secret)}` }) };
    return parseJson<T>(await this.#attempt({ method: 'POST', url: this.#adminUrl(path), headers, body: Buffer.from(JSON.stringify(value)), idleTimeoutMs: IDLE_TIMEOUT_MS }));
  }

  #adminUrl(path: string): string {
    return this.#base('admin-url', 'DHT_ADMIN_URL', ADMIN_DEFAULT) + path;
  }

  #base(flag: string, variable: string, fallback: string): string {
    const { args, options } = this.#context;
    const fromEnvironment = options.environment[variable] ?? '';
    const url = args.value(flag) ?? (fromEnvironment === '' ? fallback : fromEnvironment);
    if (!/^https?:\/\/[^/?#\s]+\/?$/.test(url)) throw usageFailure(`${args.value(flag) === null ? variable : `--${flag}`} is "${url}": allowed is http://HOST:PORT or https://HOST:PORT`);
    return url.replace(/\/$/, '');
  }

  async #clusterSecret(): Promise<string | null> {
    const { args, options, deps } = this.#context;
    const file = args.value('cluster-secret-file') ?? options.environment['DHT_CLUSTER_SECRET_FILE'] ?? '';
    if (file !== '') return (await deps.files.read(file, SECRET_BYTES_MAX)).toString('utf8');
    const secret = options.environment['DHT_CLUSTER_SECRET'] ?? '';
    return secret === '' ? null : secret;
  }

  async #send(request: HttpRequest): Promise<HttpResponse> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(request);
      } catch (error) {
        const mayRetry = error instanceof NodeRefusal && error.isRetryable && attempt < ATTEMPTS_MAX;
        if (!mayRetry) throw error;
        await sleep(this.#context.deps.clock, RETRY_DELAY_MS);
      }
    }
  }

  async #attempt(request: HttpRequest): Promise<HttpResponse> {
    let response: HttpResponse;
    try {
      response = await this.#context.deps.http.send(request);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      // A refused connection changed nothing; one that broke later may have.
      const isUnknown = request.method !== 'GET' && !/ECONNREFUSED|ENOTFOUND|EAI_AGAIN|no http URL/.test(message);
      throw new CommandFailure(isUnknown ? EXIT.UNKNOWN : EXIT.UNAVAILABLE, isUnknown ? `${message}; it may or may not have been applied` : message);
    }
    if (response.status < 400) return response;
    throw refusal(response);
  }
}

class NodeRefusal extends CommandFailure {
  readonly isRetryable: boolean;

  constructor(exitCode: ExitCode, message: string, code: string | null, isRetryable: boolean) {
    super(exitCode, message, code);
    this.isRetryable = isRetryable;
  }
}

function refusal(response: HttpResponse): NodeRefusal {
  let problem: ProblemJson = {};
  try {
    problem = JSON.parse(response.body.toString('utf8')) as ProblemJson;
  } catch {
    // Something else than a node answered; its status is all there is.
  }
  const what = [problem.title, problem.detail].filter((part) => part !== undefined).join(': ');
  const message = `${what === '' ? `HTTP status ${response.status}` : what}${problem.code === undefined ? '' : ` (${problem.code}, request ${problem.requestId ?? '?'})`}`;
  return new NodeRefusal(exitCodeOf(response.status, problem.outcome), message, problem.code ?? null, problem.retryable === true);
}

function exitCodeOf(status: number, outcome: string | undefined): ExitCode {
  if (status === 404) return EXIT.ABSENT;
  if (status === 409 || status === 412) return EXIT.CONFLICT;
  if (status === 503) return outcome === 'unknown' ? EXIT.UNKNOWN : EXIT.UNAVAILABLE;
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
