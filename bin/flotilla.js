#!/usr/bin/env node
// Plain JavaScript that any Node can read, so that an old one can be told what is missing.
const [major, minor] = process.versions.node.split('.').map(Number)

if (major < 24 || (major === 24 && minor < 15)) {
  process.stderr.write(`flotilla needs Node 24.15 or later; this is Node ${process.versions.node}.\n`)
  process.exit(1)
}

// A published package has compiled code (Node strips no types under node_modules), a checkout has the sources.
// Starts are faster when what was compiled once is kept.
const { enableCompileCache } = await import('node:module')
enableCompileCache()

const { existsSync } = await import('node:fs')
const compiled = new URL('../dist/main.js', import.meta.url)
await import(existsSync(compiled) ? compiled.href : new URL('../src/main.ts', import.meta.url).href)
