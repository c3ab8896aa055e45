/**
 * k6 beside the chaos: its load goes through the Service and judges by itself, knowing nothing of the oracle. Of its limits
 * only those about correctness count here; how much is refused depends on the faults. K6 names the program,
 * DHT_K6_SCRIPT another script.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { ROOT } from '../chart/chart-files.ts';

/** Longer than any run; it is ended before. */
const SECONDS_MAX = 6 * 3600;
const PER_SECOND = 30;
/** After SIGINT: requests under way, and the report. */
const END_MS_MAX = 120_000;
const CORRECTNESS: readonly string[] = ['lost_objects', 'corrupt_objects', 'stale_reads'];

interface K6Report {
  readonly limits: readonly { readonly what: string; readonly isKept: boolean }[];
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export class K6Load {
  readonly #child: ChildProcess;
  readonly #directory: string;
  readonly #exited: Promise<number | null>;

  private constructor(url: string, directory: string) {
    this.#directory = directory;
    this.#child = spawn(process.env['K6'] ?? 'k6', ['run', '--quiet', process.env['DHT_K6_SCRIPT'] ?? path.join(ROOT, 'loadtest/scenarios/during-chaos.ts')], {
      stdio: ['ignore', 'pipe', 'pipe'], detached: true,
      env: {
        ...process.env, BASE_URL: url, DURATION: String(SECONDS_MAX), RATE: String(PER_SECOND), SUMMARY_FILE: path.join(directory, 'k6.json'),
        K6_WEB_DASHBOARD: 'true', K6_WEB_DASHBOARD_PORT: '-1', K6_WEB_DASHBOARD_EXPORT: path.join(directory, 'k6.html'),
      },
    });
    const log = createWriteStream(path.join(directory, 'k6.log'));
    this.#child.stdout?.pipe(log, { end: false });
    this.#child.stderr?.pipe(log, { end: false });
    this.#exited = new Promise((resolve, reject) => {
      this.#child.once('exit', resolve);
      this.#child.once('error', reject);
    });
    this.#exited.catch(() => undefined);
  }

  static async begin(url: string, directory: string): Promise<K6Load> {
    await mkdir(directory, { recursive: true });
    return new K6Load(url, directory);
  }

  async end(): Promise<{ readonly wrong: readonly string[]; readonly summary: readonly string[] }> {
    this.#child.kill('SIGINT');
    const timer = setTimeout(() => { this.#child.kill('SIGKILL'); }, END_MS_MAX);
    await this.#exited.catch(() => null);
    clearTimeout(timer);
    let report: K6Report;
    try {
      report = JSON.parse(await readFile(path.join(this.#directory, 'k6.json'), 'utf8')) as K6Report;
    } catch (error) {
      return { wrong: [`k6 left no report, see ${this.#directory}/k6.log: ${String(error)}`], summary: [] };
    }
    const wrong = report.limits.filter(({ what, isKept }) => !isKept && CORRECTNESS.some((name) => what.startsWith(name))).map(({ what }) => `k6: ${what}`);
    const value = (name: string, field: string): number => report.metrics[name]?.[field] ?? 0;
    return {
      wrong,
      summary: [`k6: ${value('http_reqs', 'count')} requests, ${value('acked_puts', 'count')} acknowledged puts, ${(100 * value('unavailable', 'rate')).toFixed(2)} % unavailable; ${CORRECTNESS.map((name) => `${name} ${value(name, 'count')}`).join(', ')}`],
    };
  }
}
