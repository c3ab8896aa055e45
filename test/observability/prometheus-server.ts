/**
 * A real Prometheus (Debian's package, or whatever `prometheus` is on the PATH) on a free port of this machine. It scrapes
 * each target once a second under the labels that the chart's PodMonitor gives, and answers over its HTTP API.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { freePorts, until } from '../support/real-ring.ts';

export const HAS_PROMETHEUS = spawnSync('prometheus', ['--version']).status === 0;

export const OTHER_JOB = 'prometheus';

export interface ScrapeTarget {
  /** host:port, also its instance. */
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
}

export interface Series {
  readonly metric: Readonly<Record<string, string>>;
  /** Time in seconds, and the value as text: numbers, NaN, +Inf. */
  readonly values: readonly (readonly [number, string])[];
}

type Answer<T> = { readonly status: 'success'; readonly data: T } | { readonly status: 'error'; readonly error: string };

export class PrometheusServer {
  readonly url: string;
  readonly #process: ChildProcess;
  readonly #directory: string;
  #output = '';

  private constructor(url: string, process: ChildProcess, directory: string) {
    this.url = url;
    this.#process = process;
    this.#directory = directory;
    process.stderr?.on('data', (chunk: Buffer) => { this.#output = `${this.#output}${chunk.toString()}`.slice(-20_000); });
  }

  /** `job`: of all targets. It scrapes itself too, as OTHER_JOB: there is always something else that Prometheus watches. */
  static async start(job: string, targets: readonly ScrapeTarget[]): Promise<PrometheusServer> {
    const directory = await mkdtemp(path.join(os.tmpdir(), 'dht-prometheus-'));
    // JSON is YAML.
    const [port = 0] = await freePorts(1);
    await writeFile(path.join(directory, 'prometheus.yml'), JSON.stringify({
      global: { scrape_interval: '1s', scrape_timeout: '1s' },
      scrape_configs: [
        { job_name: job, static_configs: targets.map(({ address, labels }) => ({ targets: [address], labels })) },
        { job_name: OTHER_JOB, static_configs: [{ targets: [`127.0.0.1:${port}`] }] },
      ],
    }));
    const child = spawn('prometheus', [
      `--config.file=${path.join(directory, 'prometheus.yml')}`, `--storage.tsdb.path=${path.join(directory, 'data')}`, `--web.listen-address=127.0.0.1:${port}`, '--log.level=warn',
    ], { stdio: ['ignore', 'ignore', 'pipe'] });
    const server = new PrometheusServer(`http://127.0.0.1:${port}`, child, directory);
    await until(async () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${server.#output}`);
      return (await fetch(`${server.url}/-/ready`).catch(() => null))?.ok === true;
    }, 60_000, 'Prometheus is ready');
    // It looks for targets some seconds after it is ready.
    await until(async () => (await server.range('up', 5)).length === targets.length + 1, 60_000, 'Prometheus has tried every target');
    return server;
  }

  /** Its own, as a target. */
  get address(): string {
    return new URL(this.url).host;
  }

  /** The last `seconds` in steps of one; throws what Prometheus says against the query. */
  async range(query: string, seconds: number): Promise<readonly Series[]> {
    const end = Date.now() / 1000;
    const body = new URLSearchParams({ query, start: String(end - seconds), end: String(end), step: '1' });
    return (await this.#ask<{ readonly result: readonly Series[] }>('query_range', body)).result;
  }

  async labelValues(label: string, selector: string): Promise<readonly string[]> {
    return this.#ask(`label/${label}/values?${new URLSearchParams({ 'match[]': selector }).toString()}`, null);
  }

  async #ask<T>(route: string, body: URLSearchParams | null): Promise<T> {
    const response = await fetch(`${this.url}/api/v1/${route}`, { ...(body === null ? {} : { method: 'POST', body }), signal: AbortSignal.timeout(20_000) });
    const answer = await response.json() as Answer<T>;
    if (answer.status === 'error') throw new Error(answer.error);
    return answer.data;
  }

  async stop(): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      this.#process.kill('SIGKILL');
      await exited;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }
}
