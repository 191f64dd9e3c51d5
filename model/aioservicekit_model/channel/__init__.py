"""The formal model of a channel: a machine for rules CH-1 to CH-5, mistakes that break each rule, and a checker of histories.

`machine` is the channel; read it first. `history` says what an observer sees of one. `checker` explains histories with a machine.
`mistakes` lists what breaks each rule, and `past` is what some mistakes have to remember. `relaxed` is the machine with rules
switched off, and `blame` finds the rules that a history breaks. `world`
puts users around the machine, so that it can be explored. `properties`, `forbidden` and `situations` say what is checked then.
"""
