import { init } from 'echarts'

/**
 * @typedef {object} Bar
 * @property {string} name
 * @property {number} value
 * @property {number} [low] With `high`, the ends of the whisker.
 * @property {number} [high]
 */

/**
 * Bars from left to right, one below the other. Those of this project, by their names, have its color.
 *
 * @typedef {object} BarPanel
 * @property {'bars'} kind
 * @property {string} title What is shown, with its unit.
 * @property {readonly Bar[]} bars
 * @property {readonly { name: string, at: number }[]} [marks] Lines across the bars.
 * @property {boolean} [log] Whether the axis is logarithmic.
 */

/**
 * Lines over a common axis.
 *
 * @typedef {object} LinePanel
 * @property {'lines'} kind
 * @property {string} title
 * @property {string} across What the axis below says.
 * @property {readonly string[]} ticks
 * @property {readonly { name: string, values: readonly number[] }[]} lines
 */

/** @typedef {BarPanel | LinePanel} Panel */

const WIDTH = 960
const ROW = 24
const HEAD = 62
const FOOT = 26
const LINE_HEIGHT = 220
const NAMES = 270
const ENDS = 90

const INK = '#1f2937'
const FAINT = '#6b7280'
const OWN = '#c2410c'
const OTHER = '#94a3b8'
/** Lines that are drawn later lie above the others. */
const LINES = ['#cbd5e1', '#64748b', OWN, '#7c3aed']

/** The mean width of a character relative to the size of the font. */
const CHARACTER = 0.55

/**
 * Draws panels one below the other, those of lines two in a row, as SVG.
 *
 * @param {object} chart
 * @param {string} chart.title
 * @param {readonly string[]} chart.footer
 * @param {readonly Panel[]} chart.panels
 * @returns {string}
 */
export function drawChart({ title, footer, panels }) {
  const heading = { text: title, left: 16, top: 12, textStyle: { fontSize: 17, color: INK } }
  /** @type {Record<string, any[]>} */
  const option = { title: [heading], grid: [], xAxis: [], yAxis: [], series: [], legend: [] }
  let top = 48
  let left = 0
  for (const [index, panel] of panels.entries()) {
    if (panel.kind === 'bars') {
      top += addBars(option, panel, index, top)
    } else {
      addLines(option, panel, index, top, left)
      const isLast = panels[index + 1]?.kind !== 'lines'
      if (left > 0 || isLast) top += LINE_HEIGHT + HEAD + FOOT
      left = left > 0 || isLast ? 0 : WIDTH / 2
    }
  }
  const names = panels.flatMap((panel) => (panel.kind === 'lines' ? panel.lines.map(({ name }) => name) : []))
  if (names.length > 0) option.legend?.push({ data: [...new Set(names)], right: 16, top: 14 })
  const lines = footer.flatMap((line) => wrapped(line, (WIDTH - 32) / (11 * CHARACTER)))
  const footnote = { fontSize: 11, fontWeight: 'normal', color: FAINT, lineHeight: 15 }
  option.title?.push({ text: lines.join('\n'), left: 16, top: top + 8, textStyle: footnote })
  const height = top + 24 + lines.length * 15
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height })
  chart.setOption({ animation: false, backgroundColor: '#ffffff', color: LINES, ...option })
  const svg = chart.renderToSVGString()
  chart.dispose()
  return svg
}

/**
 * @param {Record<string, any[]>} option
 * @param {BarPanel} panel
 * @param {number} index
 * @param {number} top
 * @returns {number} The height of it.
 */
function addBars(option, { title, bars, marks = [], log = false }, index, top) {
  const height = bars.length * ROW
  const values = bars.map(({ value, low = value }) => Math.min(value, low)).filter((value) => value > 0)
  const axis = { gridIndex: index, axisLabel: { color: FAINT, formatter: short }, splitLine: { show: true } }
  option.title?.push(panelTitle(title, 16, top))
  option.grid?.push({ left: NAMES, right: ENDS, top: top + HEAD - 28, height })
  const start = log ? 10 ** Math.floor(Math.log10(Math.min(...values) / 1.5)) : 0
  option.xAxis?.push({ ...axis, type: log ? 'log' : 'value', min: start })
  option.yAxis?.push({
    gridIndex: index,
    type: 'category',
    inverse: true,
    data: bars.map(({ name }) => name),
    axisTick: { show: false },
    axisLabel: { color: INK },
  })
  option.series?.push({
    type: 'custom',
    xAxisIndex: index,
    yAxisIndex: index,
    data: bars.map(({ value, high = value }, row) => [Math.max(value, high), row]),
    renderItem: drawBar(bars, start),
    markLine: {
      silent: true,
      symbol: 'none',
      lineStyle: { color: INK, type: 'dashed' },
      label: { formatter: '{b}', position: 'start', color: INK, fontSize: 10 },
      data: marks.map(({ name, at }) => ({ name, xAxis: at })),
    },
  })
  return height + HEAD + FOOT - 20
}

/**
 * A bar, a line from low to high across its end, and the value beside it.
 *
 * @param {readonly Bar[]} bars
 * @param {number} start Where bars begin. Those of ECharts begin at 1 on a logarithmic axis.
 */
function drawBar(bars, start) {
  /**
   * @param {{ dataIndex: number }} params
   * @param {{ coord: (point: number[]) => [number, number] }} api
   */
  return ({ dataIndex }, api) => {
    const { name, value, low = value, high = value } = /** @type {Bar} */ (bars[dataIndex])
    const [left, y] = api.coord([start, dataIndex])
    const [end] = api.coord([value, dataIndex])
    const [x1] = api.coord([low, dataIndex])
    const [x2] = api.coord([high, dataIndex])
    const height = ROW * 0.6
    return {
      type: 'group',
      children: [
        {
          type: 'rect',
          shape: { x: left, y: y - height / 2, width: end - left, height },
          style: { fill: isOwn(name) ? OWN : OTHER },
        },
        { type: 'line', shape: { x1, x2, y1: y, y2: y }, style: { stroke: INK, lineWidth: 1.5 } },
        {
          type: 'text',
          x: Math.max(end, x2) + 6,
          y,
          style: { text: digits(value), fill: INK, fontSize: 11, verticalAlign: 'middle' },
        },
      ],
    }
  }
}

/**
 * @param {Record<string, any[]>} option
 * @param {LinePanel} panel
 * @param {number} index
 * @param {number} top
 * @param {number} left
 */
function addLines(option, { title, across, ticks, lines }, index, top, left) {
  option.title?.push(panelTitle(title, left + 16, top))
  option.grid?.push({ left: left + 56, width: WIDTH / 2 - 90, top: top + HEAD - 28, height: LINE_HEIGHT })
  option.xAxis?.push({
    gridIndex: index,
    type: 'category',
    data: ticks,
    name: across,
    nameLocation: 'middle',
    nameGap: 24,
    axisLabel: { color: FAINT },
  })
  option.yAxis?.push({ gridIndex: index, type: 'value', min: 0, axisLabel: { color: FAINT } })
  for (const { name, values } of lines) {
    option.series?.push({
      name,
      type: 'line',
      xAxisIndex: index,
      yAxisIndex: index,
      symbolSize: 5,
      data: [...values],
    })
  }
}

/**
 * @param {string} text
 * @param {number} left
 * @param {number} top
 */
const panelTitle = (text, left, top) => ({
  text,
  left,
  top,
  textStyle: { fontSize: 13, fontWeight: 'bold', color: INK },
})

/** @param {string} name */
const isOwn = (name) => name.startsWith('sark-cache')

/**
 * Breaks a line at spaces.
 *
 * @param {string} line
 * @param {number} width
 */
function wrapped(line, width) {
  const lines = ['']
  for (const word of line.split(' ')) {
    const last = lines[lines.length - 1] ?? ''
    if (last.length + word.length + 1 > width) lines.push(word)
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`
  }
  return lines
}

/**
 * A number with three significant digits, or all the digits before the point if there are more.
 *
 * @param {number} value
 */
export function digits(value) {
  if (!Number.isFinite(value)) return '-'
  const decimals = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(decimals, 3))
}

/**
 * A round number, in thousands or millions where it is.
 *
 * @param {number} value
 */
export function short(value) {
  if (value >= 1e6) return `${value / 1e6} M`
  return value >= 1e4 ? `${value / 1e3} k` : `${value}`
}
