/**
 * A scrape in Prometheus's text format, taken apart: families with their help and type, and the series of each.
 * Source: [Prometheus] "Exposition formats", "Text-based format".
 */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Every name that a label of it has, but `le` and `quantile`. */
  readonly labelNames: readonly string[];
  readonly series: readonly Series[];
}

export interface Series {
  /** Without what a histogram adds to the family's name. */
  readonly labels: Readonly<Record<string, string>>;
  readonly name: string;
  readonly value: number;
}

const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const OF_THE_FORMAT = new Set(['le', 'quantile']);

export function parseExposition(text: string): readonly Family[] {
  const families: { name: string; type: string; help: string; series: Series[] }[] = [];
  const familyOf = (name: string): { name: string; type: string; help: string; series: Series[] } => {
    const last = families.at(-1);
    if (last?.name === name) return last;
    const made = { name, type: 'untyped', help: '', series: [] };
    families.push(made);
    return made;
  };
  for (const line of text.split('\n')) {
    if (line.startsWith('# ')) {
      const [, what = '', name = '', ...rest] = line.split(' ');
      if (what === 'HELP') familyOf(name).help = rest.join(' ');
      if (what === 'TYPE') familyOf(name).type = rest.join(' ');
      continue;
    }
    const found = SERIES.exec(line);
    if (found === null) continue;
    const [, name = '', labels = '', number = ''] = found;
    families.at(-1)?.series.push({ name, labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, label = '', value = '']) => [label, value])), value: Number(number) });
  }
  return families.map((family) => ({
    ...family, labelNames: [...new Set(family.series.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => !OF_THE_FORMAT.has(label)),
  }));
}

/** A series as one line, without its value: the same for the same name and labels. */
export function seriesText({ name, labels }: Series): string {
  return `${name}{${Object.entries(labels).map(([label, value]) => `${label}="${value}"`).sort().join(',')}}`;
}
