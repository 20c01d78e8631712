// The face for `import`. It re-exports the CommonJS build, so that both share one state.
export * from './index.js'
