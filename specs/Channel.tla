------------------------------ MODULE Channel ------------------------------
(* The rules of channel.md, CH-1 to CH-5, as a state machine: written from that text, so that this machine   *)
(* and the one in Python are two witnesses. Each guard names the rule that it states. The build compares     *)
(* the two graphs. Bounds are in bounds/; to check one by hand:                                              *)
(*     java -cp tla2tools.jar tlc2.TLC -deadlock -workers 1 -config bounds/a-line.cfg Channel.tla            *)
(* where -deadlock switches off what it is called after, since a channel that everybody has left may rest.   *)
(*                                                                                                           *)
(* The world is closed: every publisher and subscriber joins once, sends or reads so many times, may close   *)
(* at any time, and so may the channel; so many operations are asked to cancel. An operation is a pair       *)
(* <<endpoint, n>>: number 0 is the endpoint's join, and number n its n-th send or read. A send is its own   *)
(* message. Closing takes effect at its call (CH-5.1a), so it is one step, and not an operation under way.   *)
(* Threads, iteration, sizes that are invalid, and what a channel owes to the program around it are not      *)
(* modelled (CH-6, CH-4.7, CH-2.3, CH-7).                                                                    *)
EXTENDS Naturals, Sequences, FiniteSets

CONSTANTS Publishers, Subscribers,
          SizeOne, SizeTwo,    \* the subscribers with a buffer of one message, and of two; the rest are unbounded
          SendsEach, ReadsEach, \* how many sends a publisher makes, and how many reads a subscriber
          Cancellations        \* how many operations are asked to cancel

VARIABLES state,     \* of the channel: "initiation", "open" or "closed" (CH-1)
          endpoint,  \* of each: "absent", "connected" or "closed"
          buffer,    \* of each subscriber: the messages that it has received and not read, oldest first
          op,        \* of each operation: "idle", "waiting", "succeeded", "failed", "given up" or "ended"
          sends,     \* the line of sends: those that may still commit, in the order of their calls (CH-3)
          reads,     \* of each subscriber: the line of reads, likewise (CH-4)
          result,    \* of each read that has succeeded and not ended: its message (<<>>: none)
          asked,     \* the operations under way that were asked to cancel
          requests   \* how many more will be asked

vars == <<state, endpoint, buffer, op, sends, reads, result, asked, requests>>

Endpoints == Publishers \cup Subscribers
Joins == Endpoints \X {0}
Sends == Publishers \X (1..SendsEach)
Reads == Subscribers \X (1..ReadsEach)
Operations == Joins \cup Sends \cup Reads

Connected == {e \in Endpoints : endpoint[e] = "connected"}
Size(s) == IF s \in SizeOne THEN 1 ELSE IF s \in SizeTwo THEN 2 ELSE 0
Full(s) == Size(s) > 0 /\ Len(buffer[s]) >= Size(s)
BothSides(C) == C \cap Publishers # {} /\ C \cap Subscribers # {}
Items(line) == {line[i] : i \in DOMAIN line}
Place(o, line) == CHOOSE i \in DOMAIN line : line[i] = o
Ahead(o, line) == {line[i] : i \in 1..(Place(o, line) - 1)}
Without(o, line) == SelectSeq(line, LAMBDA other : other # o)

Init == /\ state = "initiation"                                                                  \* CH-1.1a
        /\ endpoint = [e \in Endpoints |-> "absent"]
        /\ buffer = [s \in Subscribers |-> <<>>]
        /\ op = [o \in Operations |-> "idle"]
        /\ sends = <<>>
        /\ reads = [s \in Subscribers |-> <<>>]
        /\ result = [o \in Reads |-> <<>>]
        /\ asked = {}
        /\ requests = Cancellations

----------------------------------------------------------------------------
(* What users do.                                                                                            *)

\* Operations are called in the order of their numbers, once their endpoint has been returned by its join.
Call(o) == /\ op[o] = "idle"
           /\ o[2] > 0 => op[<<o[1], 0>>] = "ended" /\ endpoint[o[1]] # "absent"
           /\ o[2] > 1 => op[<<o[1], o[2] - 1>>] # "idle"
           /\ op' = [op EXCEPT ![o] = "waiting"]
           /\ sends' = IF o \in Sends /\ endpoint[o[1]] = "connected" THEN Append(sends, o) ELSE sends
           /\ reads' = IF o \in Reads THEN [reads EXCEPT ![o[1]] = Append(@, o)] ELSE reads
           /\ UNCHANGED <<state, endpoint, buffer, result, asked, requests>>

Cancel(o) == /\ requests > 0
             /\ op[o] \notin {"idle", "ended"}
             /\ o \notin asked
             /\ asked' = asked \cup {o}
             /\ requests' = requests - 1
             /\ UNCHANGED <<state, endpoint, buffer, op, sends, reads, result>>

\* All of `gone` close at one instant: their sends leave the line (CH-3.7a, CH-5.2a), and nobody else's (CH-5.2b).
Leave(gone) == /\ endpoint' = [e \in Endpoints |-> IF e \in gone THEN "closed" ELSE endpoint[e]]
               /\ sends' = SelectSeq(sends, LAMBDA o : o[1] \notin gone)
               /\ UNCHANGED <<buffer, op, reads, result, asked, requests>>                        \* CH-4.2a

\* A second closing changes nothing (CH-5.1c).
Close(e) == /\ op[<<e, 0>>] = "ended" /\ endpoint[e] # "absent"
            /\ IF state = "open" /\ ~BothSides(Connected \ {e})
               THEN state' = "closed" /\ Leave(Connected)                                        \* CH-1.3a, CH-1.6
               ELSE state' = state /\ Leave({e})                                                 \* CH-1.3b, CH-1.5

CloseChannel == state' = "closed" /\ Leave(Connected)                                            \* CH-1.4, CH-1.6

----------------------------------------------------------------------------
(* What goes on without anything else having to happen. An operation waits until it succeeds, fails or is    *)
(* given up. One that was asked to cancel keeps no place: those behind it may go first. It may be counted as *)
(* in line until it ends, and may take effect as long as it waits (the glossary: cancel).                    *)

First(o, line) == o \in Items(line) /\ Ahead(o, line) \subseteq asked

Join(o) == /\ o \in Joins /\ op[o] = "waiting"
           /\ state # "closed"                                                                   \* CH-2.1
           /\ op' = [op EXCEPT ![o] = "succeeded"]                                               \* CH-2.5
           /\ endpoint' = [endpoint EXCEPT ![o[1]] = "connected"]
           /\ state' = IF BothSides(Connected \cup {o[1]}) THEN "open" ELSE state                \* CH-1.2
           /\ UNCHANGED <<buffer, sends, reads, result, asked, requests>>                        \* CH-2.4b

Commit(o) == /\ o \in Sends /\ First(o, sends)                                                   \* CH-3.5
             /\ \A s \in Connected \cap Subscribers : ~Full(s)                                   \* CH-3.2
             /\ buffer' = [s \in Subscribers |-> IF s \in Connected THEN Append(buffer[s], o) ELSE buffer[s]]
                                                                                                 \* CH-3.1a, CH-2.4a, CH-5.3a
             /\ sends' = Without(o, sends)
             /\ op' = [op EXCEPT ![o] = "succeeded"]
             /\ UNCHANGED <<state, endpoint, reads, result, asked, requests>>

Take(o) == LET s == o[1] IN
           /\ o \in Reads /\ First(o, reads[s])                                                  \* CH-4.4b
           /\ buffer[s] # <<>>                                                                   \* CH-4.1b
           /\ buffer' = [buffer EXCEPT ![s] = Tail(@)]                                           \* CH-4.1a, CH-4.4a
           /\ result' = [result EXCEPT ![o] = Head(buffer[s])]
           /\ reads' = [reads EXCEPT ![s] = Without(o, @)]
           /\ op' = [op EXCEPT ![o] = "succeeded"]
           /\ UNCHANGED <<state, endpoint, sends, asked, requests>>

\* The messages are for the reads that are first in line. Those beyond them may raise at once (CH-4.2b).
Beyond(o) == LET s == o[1] IN Cardinality(Ahead(o, reads[s])) >= Len(buffer[s])

Fail(o) == /\ op[o] = "waiting"
           /\ \/ o \in Joins /\ state = "closed"                                                 \* CH-2.1
              \/ o \in Sends /\ endpoint[o[1]] = "closed"                                        \* CH-3.7a
              \/ o \in Reads /\ endpoint[o[1]] = "closed" /\ Beyond(o)                           \* CH-4.2b, CH-4.3
           /\ op' = [op EXCEPT ![o] = "failed"]
           /\ reads' = [s \in Subscribers |-> Without(o, reads[s])]
           /\ UNCHANGED <<state, endpoint, buffer, sends, result, asked, requests>>

\* Nothing leads from "succeeded" to "given up" (CH-3.8a, CH-3.9a, CH-4.5a, CH-4.8a, CH-2.6).
GiveUp(o) == /\ o \in asked
             /\ op[o] \in {"waiting", "failed"}
             /\ op' = [op EXCEPT ![o] = "given up"]
             /\ sends' = Without(o, sends)                                                       \* CH-3.8c
             /\ reads' = [s \in Subscribers |-> Without(o, reads[s])]                            \* CH-4.5b
             /\ UNCHANGED <<state, endpoint, buffer, result, asked, requests>>

\* The operation returns, raises ChannelClosedError or raises CancelledError, by what became of it.
End(o) == /\ op[o] \in {"succeeded", "failed", "given up"}
          /\ op' = [op EXCEPT ![o] = "ended"]
          /\ result' = [r \in Reads |-> IF r = o THEN <<>> ELSE result[r]]
          /\ asked' = asked \ {o}
          /\ UNCHANGED <<state, endpoint, buffer, sends, reads, requests>>

Step(o) == Join(o) \/ Commit(o) \/ Take(o) \/ Fail(o) \/ GiveUp(o) \/ End(o)

Next == \/ \E o \in Operations : Call(o) \/ Cancel(o) \/ Step(o)
        \/ \E e \in Endpoints : Close(e)
        \/ CloseChannel

Spec == Init /\ [][Next]_vars /\ \A o \in Operations : WF_vars(Step(o))

----------------------------------------------------------------------------
(* What the rules promise of every state, and of what follows.                                               *)

Bounded == \A s \in Subscribers : Size(s) > 0 => Len(buffer[s]) <= Size(s)                       \* CH-3.2
NoCopies == \A s \in Subscribers : Cardinality(Items(buffer[s])) = Len(buffer[s])                \* CH-2.4a, CH-3.1c
OneOrder == \A s, t \in Subscribers : \A i, j \in DOMAIN buffer[s] : \A k, l \in DOMAIN buffer[t] : \* CH-3.6
              (i < j /\ buffer[s][i] = buffer[t][k] /\ buffer[s][j] = buffer[t][l]) => k < l
OpenMeansBoth == state = "open" => BothSides(Connected)                                          \* CH-1.3
ClosedMeansAll == state = "closed" => Connected = {}                                             \* CH-1.6
Forward == [][state # state' => <<state, state'>> \in
              {<<"initiation", "open">>, <<"initiation", "closed">>, <<"open", "closed">>}]_state \* CH-1.7

\* At rest, what is under way waits for room (CH-3.4) or for a message (CH-4.6), on what is connected (CH-3.7a, CH-4.3).
AtRest == \A o \in Operations : ~ENABLED Step(o)
Rest == AtRest => \A o \in Operations : op[o] \notin {"idle", "ended"} =>
          /\ op[o] = "waiting" /\ o \notin asked /\ endpoint[o[1]] = "connected"
          /\ \/ o \in Sends /\ \E s \in Connected \cap Subscribers : Full(s)
             \/ o \in Reads /\ buffer[o[1]] = <<>>

CancelledEnds == \A o \in Operations : o \in asked ~> op[o] = "ended"                            \* CH-3.8b, CH-4.5c
ClosedEnds == \A o \in Operations : op[o] = "waiting" /\ endpoint[o[1]] = "closed" ~> op[o] = "ended" \* CH-3.7a, CH-4.3
=============================================================================
