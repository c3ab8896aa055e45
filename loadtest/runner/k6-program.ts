/** The program k6: where it is, how it is started, and what its exit codes mean. */
import { spawn, spawnSync } from 'node:child_process';

/** Scripts are TypeScript and use modules of this major version. */
const MAJOR_MIN = 2;

export const HOW_TO_GET_K6 = [
  'k6 is not here. It is one program without dependencies; any of these brings it:',
  '  brew install k6                                              (macOS)',
  '  a release of https://github.com/grafana/k6/releases          (unpack, and put it on the PATH)',
  '  https://grafana.com/docs/k6/latest/set-up/install-k6/        (Debian, Fedora, Windows, containers)',
  '  go install go.k6.io/k6/v2@v2.2.0                             (with Go; in ~/go/bin then)',
  'Set K6=/path/to/k6 if it is not on the PATH. Without k6: npm run loadtest:node -- smoke, or read-your-writes.',
].join('\n');

export type FoundK6 = { readonly kind: 'found'; readonly program: string; readonly version: string } | { readonly kind: 'missing'; readonly why: string };

export function findK6(environment: Readonly<Record<string, string | undefined>>): FoundK6 {
  const program = environment['K6'] ?? 'k6';
  const { status, stdout } = spawnSync(program, ['version'], { encoding: 'utf8' });
  if (status !== 0) return { kind: 'missing', why: HOW_TO_GET_K6 };
  const version = /v(\d+)\.\d+\.\d+/.exec(stdout);
  if (Number(version?.[1] ?? 0) < MAJOR_MIN) return { kind: 'missing', why: `${program} is ${stdout.trim()}; version ${MAJOR_MIN} or later is needed.\n${HOW_TO_GET_K6}` };
  return { kind: 'found', program, version: version?.[0] ?? '' };
}

export interface K6Options {
  readonly program: string;
  readonly script: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Where the script's own lines go. */
  readonly consoleFile: string;
  /** Of the HTML report; null: none. */
  readonly htmlFile: string | null;
}

/** The exit code; null when a signal ended it. */
export function runK6(options: K6Options): Promise<number | null> {
  const { program, script, environment, consoleFile, htmlFile } = options;
  const dashboard = htmlFile === null ? {} : { K6_WEB_DASHBOARD: 'true', K6_WEB_DASHBOARD_PORT: '-1', K6_WEB_DASHBOARD_EXPORT: htmlFile, K6_WEB_DASHBOARD_PERIOD: '2s' };
  const child = spawn(program, ['run', '--no-usage-report', '--log-format', 'raw', '--console-output', consoleFile, ...(process.stdout.isTTY ? [] : ['--quiet']), script], {
    // Without a terminal k6 says on each failed request that it failed, on standard error; the report counts them.
    stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, ...dashboard, ...environment },
  });
  child.stderr.on('data', (bytes: Buffer) => { process.stderr.write(withoutFailedRequests(bytes.toString())); });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
}

export type Outcome = 'passed' | 'limits-broken' | 'not-run';

/**
 * A limit that doesn't hold is a result; everything else but 0 says that the test itself is broken. `ramp` goes on until a
 * limit stops it, so its report decides.
 */
export function outcomeOf(exitCode: number | null, isReportPassed: boolean | null): Outcome {
  if (isReportPassed === null) return 'not-run';
  if (exitCode === 0 || exitCode === 99) return isReportPassed ? 'passed' : 'limits-broken';
  return 'not-run';
}

export function exitCodeText(exitCode: number | null): string {
  switch (exitCode) {
    case null: return 'k6 was ended by a signal';
    case 99: return 'k6: limits were crossed (99)';
    case 107: return 'k6: the script failed (107), see above';
    case 110: return 'k6: the script called the test failed (110)';
    default: return `k6 ended with ${exitCode}`;
  }
}

function withoutFailedRequests(text: string): string {
  return text.split('\n').filter((line) => line !== 'Request Failed').join('\n');
}
