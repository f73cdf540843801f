// Writes the answers of Kubeflow's cron parser: reads lines "expression TAB start" (seconds since 1970) and prints each
// with up to three next times in UTC, or "refused". Needs github.com/robfig/cron v1.2.0, which Kubeflow Pipelines uses.
//
//	python -m tests.pipelines.cluster.cron_answers.expressions | go run answers.go | gzip -n9 > answers.tsv.gz
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron"
)

const wanted = 3

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		expression, start, _ := strings.Cut(lines.Text(), "\t")
		seconds, err := strconv.ParseInt(start, 10, 64)
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s\t%s\t%s\n", expression, start, answer(expression, time.Unix(seconds, 0).UTC()))
	}
}

func answer(expression string, at time.Time) string {
	schedule, err := cron.Parse(expression)
	if err != nil {
		return "refused"
	}
	times := []string{}
	for len(times) < wanted {
		at = schedule.Next(at)
		if at.IsZero() { // none within five years
			break
		}
		times = append(times, strconv.FormatInt(at.Unix(), 10))
	}
	return strings.Join(times, " ")
}
