"""The formal model of a channel: rules CH-1 to CH-5 as a machine, what breaks each of them, and histories judged by both.

`machine` is the channel; read it first. `history` says what can be seen of one. `checker` explains histories by a machine.
`mistakes` says what breaks each rule, `past` what some of these have to remember, `relaxed` is the machine with rules taken out of
force, and `blame` finds the rules that were broken. `world` puts users around the machine, so that it can be explored;
`properties`, `forbidden` and `situations` say what is checked then.
"""
