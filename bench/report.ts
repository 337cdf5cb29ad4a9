/** The rows of the result: what was measured, against what, and whether it is as good as it should be. */
import type { Spread } from './statistics.ts';

export interface Target {
  /** Which figure is judged. */
  readonly judged: 'ratio' | 'ours';
  readonly better: 'higher' | 'lower';
  /** What has to be reached, and what is aimed at. */
  readonly reach: number;
  readonly aim: number;
}

export type Unit = '/s' | 'µs' | 'ms' | 's' | 'MB/s' | 'B' | 'MB' | '×' | '%';

export interface Row {
  readonly measure: string;
  readonly unit: Unit;
  readonly ours: Spread;
  /** Null where nothing is compared, or the peer is not installed. */
  readonly peer: Spread | null;
  /** Of the rounds, pair by pair. */
  readonly ratio: Spread | null;
  readonly target: Target | null;
  /** Cores that the load generator used, and cores that others used, in the median run. */
  readonly loadCores: number | null;
  readonly foreignCores: number | null;
  readonly note: string;
}

export type Verdict = 'aim' | 'reach' | 'no' | '-';

export function judge(row: Row): Verdict {
  const { target } = row;
  const figure = target?.judged === 'ratio' ? row.ratio : row.ours;
  if (target === null || figure === null) return '-';
  const isMet = (limit: number): boolean =>
    target.better === 'higher' ? figure.median >= limit : figure.median <= limit;
  if (isMet(target.aim)) return 'aim';
  return isMet(target.reach) ? 'reach' : 'no';
}

/** Three significant digits, thousands as `k` and `M`. */
export function formatNumber(value: number): string {
  const [scaled, suffix] =
    Math.abs(value) >= 1e6
      ? [value / 1e6, ' M']
      : Math.abs(value) >= 1e4
        ? [value / 1e3, ' k']
        : [value, ''];
  const magnitude = Math.abs(scaled);
  const decimals = magnitude >= 100 ? 0 : magnitude >= 10 ? 1 : 2;
  return `${scaled.toFixed(magnitude === 0 ? 0 : decimals)}${suffix}`;
}

function formatSpread(spread: Spread | null, unit: Unit | ''): string {
  if (spread === null) return '-';
  const { median, min, max } = spread;
  const suffix = unit === '' || unit === '/s' || unit === '×' ? unit : ` ${unit}`;
  const range = min === max ? '' : ` [${formatNumber(min)}..${formatNumber(max)}]`;
  return `${formatNumber(median)}${suffix}${range}`;
}

const HEADINGS = ['measure', 'ours', 'peer', 'ratio', 'reach', 'aim', 'met', 'load', 'foreign'];

function cells(row: Row): string[] {
  const { target } = row;
  const sign = target?.better === 'lower' ? '≤ ' : '≥ ';
  const limit = (value: number | undefined): string =>
    value === undefined ? '' : `${sign}${formatNumber(value)}`;
  return [
    row.measure,
    formatSpread(row.ours, row.unit),
    formatSpread(row.peer, row.unit),
    formatSpread(row.ratio, ''),
    limit(target?.reach),
    limit(target?.aim),
    judge(row),
    row.loadCores?.toFixed(2) ?? '',
    row.foreignCores?.toFixed(2) ?? '',
  ];
}

/** Nearly a whole core: then the generator, not the server, set the pace. */
const LOAD_CORES_MAX = 0.9;
/** More than this, and only the ratios are worth anything. */
const FOREIGN_CORES_MAX = 0.3;

function remarks(row: Row): string[] {
  const found = row.note === '' ? [] : [row.note];
  if ((row.loadCores ?? 0) > LOAD_CORES_MAX) {
    found.push('the load generator was at its limit, the server may be faster than this');
  }
  if ((row.foreignCores ?? 0) > FOREIGN_CORES_MAX) {
    found.push('other programs took part of the machine; trust the ratio, not the figures');
  }
  return found;
}

function measuresByRemark(rows: readonly Row[]): Map<string, string[]> {
  const grouped = new Map<string, string[]>();
  for (const row of rows) {
    for (const remark of remarks(row)) {
      const measures = grouped.get(remark) ?? [];
      grouped.set(remark, [...measures, row.measure]);
    }
  }
  return grouped;
}

/** A table in Markdown whose columns also line up as plain text, notes below. */
export function formatTable(rows: readonly Row[]): string {
  const body = rows.map(cells);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...body.map((line) => (line[column] ?? '').length)),
  );
  const join = (line: readonly string[]): string =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const rule = `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`;
  const notes = [...measuresByRemark(rows)].map(
    ([remark, measures]) => `* ${measures.join(', ')}: ${remark}`,
  );
  return [
    join(HEADINGS),
    rule,
    ...body.map(join),
    ...(notes.length > 0 ? ['', ...notes] : []),
  ].join('\n');
}
